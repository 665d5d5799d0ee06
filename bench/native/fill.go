package main

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// fillBlocks writes valid small blocks in the layout of blockstore-fs: <last two characters>/<B + base32 of the multihash>.data
func fillBlocks(args []string) (any, error) {
	flags := flag.NewFlagSet("fill-blocks", flag.ExitOnError)
	dir := flags.String("dir", "", "the folder blocks/")
	count := flags.Int("count", 0, "how many")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	return count, each(*count, func(i int) error {
		bytes := []byte(fmt.Sprintf("block %d", i))
		sum := sha256.Sum256(bytes)
		name := "B" + encoding.EncodeToString(append([]byte{0x12, 0x20}, sum[:]...))
		return writeFile(filepath.Join(*dir, name[len(name)-2:], name+".data"), bytes)
	})
}

// fillDistribution writes what distribution reads for its lists, in its own layout: tags of the repository bench/tags, and repositories
func fillDistribution(args []string) (any, error) {
	flags := flag.NewFlagSet("fill-distribution", flag.ExitOnError)
	dir := flags.String("dir", "", "its data directory")
	count := flags.Int("count", 0, "tags, and repositories")
	digest := flags.String("digest", "", "what every tag stands for")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	repositories := filepath.Join(*dir, "docker", "registry", "v2", "repositories")
	return count, each(*count, func(i int) error {
		tag := filepath.Join(repositories, "bench", "tags", "_manifests", "tags", fmt.Sprintf("v%06d", i))
		return errors.Join(
			writeFile(filepath.Join(tag, "current", "link"), []byte(*digest)),
			os.MkdirAll(filepath.Join(repositories, "bench", fmt.Sprintf("r%06d", i), "_manifests"), 0o755),
		)
	})
}

func each(count int, work func(i int) error) error {
	var lock sync.Mutex
	var first error
	inParallel(runtime.NumCPU(), count, func(i int) {
		if err := work(i); err != nil {
			lock.Lock()
			defer lock.Unlock()
			first = err
		}
	})
	return first
}

func writeFile(path string, bytes []byte) error {
	err := os.WriteFile(path, bytes, 0o644)
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, bytes, 0o644)
}

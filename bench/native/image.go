package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// image writes an OCI image layout whose layers are archives of one random file each; gzip stores them, as they don't get smaller
func image(args []string) (any, error) {
	flags := flag.NewFlagSet("image", flag.ExitOnError)
	dir := flags.String("dir", "", "where the layout goes")
	sizes := flags.String("layers", "", "bytes of the file in each layer, separated by commas")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	blobs := filepath.Join(*dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	var layers []descriptor
	var diffs []string
	for _, text := range strings.Split(*sizes, ",") {
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		layer, diff, err := writeLayer(blobs, size)
		if err != nil {
			return nil, err
		}
		layers, diffs = append(layers, layer), append(diffs, diff)
	}
	config, err := writeJSON(blobs, "application/vnd.oci.image.config.v1+json", map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if err != nil {
		return nil, err
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	top, err := writeJSON(blobs, manifestType, map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers})
	if err != nil {
		return nil, err
	}
	index := map[string]any{"schemaVersion": 2, "manifests": []map[string]any{{
		"mediaType": manifestType, "digest": top.Digest, "size": top.Size, "annotations": map[string]string{"org.opencontainers.image.ref.name": "latest"},
	}}}
	text, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(*dir, "index.json"), text, 0o644); err != nil {
		return nil, err
	}
	return map[string]any{"layers": layers, "manifest": top}, os.WriteFile(filepath.Join(*dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

func writeLayer(blobs string, size int64) (descriptor, string, error) {
	file, err := os.CreateTemp(blobs, "layer-")
	if err != nil {
		return descriptor{}, "", err
	}
	defer file.Close()
	whole, diff := sha256.New(), sha256.New()
	packed, err := gzip.NewWriterLevel(io.MultiWriter(file, whole), gzip.NoCompression)
	if err != nil {
		return descriptor{}, "", err
	}
	archive := tar.NewWriter(io.MultiWriter(packed, diff))
	if err := archive.WriteHeader(&tar.Header{Name: "data", Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}); err != nil {
		return descriptor{}, "", err
	}
	// its digest is not needed
	if err := (blob{nonce: uint64(time.Now().UnixNano()), size: size}).writeTo(archive); err != nil {
		return descriptor{}, "", err
	}
	if err := archive.Close(); err != nil {
		return descriptor{}, "", err
	}
	if err := packed.Close(); err != nil {
		return descriptor{}, "", err
	}
	found, err := file.Stat()
	if err != nil {
		return descriptor{}, "", err
	}
	name := hex.EncodeToString(whole.Sum(nil))
	layer := descriptor{"application/vnd.oci.image.layer.v1.tar+gzip", "sha256:" + name, found.Size()}
	return layer, "sha256:" + hex.EncodeToString(diff.Sum(nil)), os.Rename(file.Name(), filepath.Join(blobs, name))
}

func writeJSON(blobs, mediaType string, value any) (descriptor, error) {
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(value); err != nil {
		return descriptor{}, err
	}
	digest := digestOf(text.Bytes())
	path := filepath.Join(blobs, strings.TrimPrefix(digest, "sha256:"))
	return descriptor{mediaType, digest, int64(text.Len())}, os.WriteFile(path, text.Bytes(), 0o644)
}

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"strings"
	"time"
)

type pulled struct {
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
	// milliseconds from the request to the first byte of the body, of each request
	FirstByte []float64 `json:"firstByte"`
}

// pull takes a list of paths from standard input, gives each client its share, and reads what they lead to
func pull(args []string) (any, error) {
	flags := flag.NewFlagSet("pull", flag.ExitOnError)
	base := flags.String("base", "", "URL of the server")
	method := flags.String("method", "GET", "of the requests")
	size := flags.Int64("size", 0, "bytes that each must yield")
	clients := flags.Int("clients", 1, "clients at a time")
	verify := flags.Bool("verify", false, "compare what comes with the digest at the end of its path")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	address, err := url.Parse(*base)
	if err != nil {
		return nil, err
	}
	var paths []string
	if err := json.NewDecoder(os.Stdin).Decode(&paths); err != nil {
		return nil, err
	}
	result := pulled{Bytes: *size * int64(len(paths)), FirstByte: make([]float64, len(paths))}
	share := len(paths) / *clients
	result.Seconds, err = together(address, *clients, func(client int, c *connection) error {
		buffer := make([]byte, 256<<10)
		for i := client * share; i < (client+1)*share; i++ {
			digest := ""
			if *verify {
				digest = paths[i][strings.LastIndex(paths[i], "/")+1:]
			}
			first, err := c.read(*method, paths[i], *size, digest, buffer)
			if err != nil {
				return fmt.Errorf("%s: %w", paths[i], err)
			}
			result.FirstByte[i] = float64(first.Microseconds()) / 1000
		}
		return nil
	})
	return result, err
}

// read returns the time to the first byte; no digest: what comes is not verified
func (c *connection) read(method, path string, size int64, digest string, buffer []byte) (time.Duration, error) {
	began := time.Now()
	response, err := c.call(method, path, nil, false)
	if err != nil {
		return 0, err
	}
	if response.StatusCode != 200 {
		return 0, fmt.Errorf("status %d", response.StatusCode)
	}
	var first time.Duration
	var sum hash.Hash
	if digest != "" {
		sum = sha256.New()
	}
	received := int64(0)
	for err == nil {
		var n int
		n, err = response.Body.Read(buffer)
		if n > 0 && first == 0 {
			first = time.Since(began)
		}
		if sum != nil {
			sum.Write(buffer[:n])
		}
		received += int64(n)
	}
	if err != io.EOF {
		return 0, err
	}
	if received != size {
		return 0, fmt.Errorf("%d bytes instead of %d", received, size)
	}
	if sum != nil && "sha256:"+hex.EncodeToString(sum.Sum(nil)) != digest {
		return 0, fmt.Errorf("other bytes than were pushed")
	}
	return first, nil
}

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"
)

type pushed struct {
	Seconds float64  `json:"seconds"`
	Bytes   int64    `json:"bytes"`
	Digests []string `json:"digests"`
	// of each blob, where the registry tells it
	Cids []string `json:"cids"`
}

// push sends blobs as docker does, POST, one streamed PATCH, PUT, each client over one connection; only the sending is timed
func push(args []string) (any, error) {
	flags := flag.NewFlagSet("push", flag.ExitOnError)
	base := flags.String("base", "", "URL of the registry")
	repository := flags.String("repository", "", "where the blobs go")
	size := flags.Int64("size", 0, "bytes of a blob")
	clients := flags.Int("clients", 1, "clients at a time")
	count := flags.Int("count", 1, "blobs of each client")
	chunked := flags.Bool("chunked", false, "send without a Content-Length")
	gate := flags.Bool("gate", false, "say ready, then wait for a line on standard input")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	address, err := url.Parse(*base)
	if err != nil {
		return nil, err
	}
	blobs := newBlobs(*clients**count, *size)
	result := pushed{Bytes: *size * int64(len(blobs)), Digests: make([]string, len(blobs)), Cids: make([]string, len(blobs))}
	if *gate {
		fmt.Println("ready")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return nil, err
		}
	}
	result.Seconds, err = together(address, *clients, func(client int, c *connection) error {
		for i := client * *count; i < (client+1)**count; i++ {
			cid, err := c.push(*repository, blobs[i], *chunked)
			if err != nil {
				return err
			}
			result.Digests[i], result.Cids[i] = blobs[i].digest, cid
		}
		return nil
	})
	return result, err
}

func (c *connection) push(repository string, b blob, chunked bool) (string, error) {
	opened, err := c.expect(202, "POST", "/v2/"+repository+"/blobs/uploads/", nil, false)
	if err != nil {
		return "", err
	}
	patched, err := c.expect(202, "PATCH", target(opened.Header.Get("Location")), &b, chunked)
	if err != nil {
		return "", err
	}
	location, err := url.Parse(patched.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	query := location.Query()
	query.Set("digest", b.digest)
	location.RawQuery = query.Encode()
	put, err := c.expect(201, "PUT", location.RequestURI(), nil, false)
	if err != nil {
		return "", err
	}
	return put.Header.Get("X-Ipfs-Cid"), nil
}

// target is the path and query of a URL that may have a host
func target(location string) string {
	parsed, err := url.Parse(location)
	if err != nil {
		return location
	}
	return parsed.RequestURI()
}

// together connects all clients, lets them begin at once, and returns the seconds until the last is done
func together(address *url.URL, clients int, work func(client int, c *connection) error) (float64, error) {
	connections := make([]*connection, clients)
	for i := range connections {
		c, err := dial(address)
		if err != nil {
			return 0, err
		}
		defer c.close()
		connections[i] = c
	}
	failures := make([]error, clients)
	var running sync.WaitGroup
	began := time.Now()
	for i, c := range connections {
		running.Add(1)
		go func() {
			defer running.Done()
			failures[i] = work(i, c)
		}()
	}
	running.Wait()
	return time.Since(began).Seconds(), errors.Join(failures...)
}

package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"
)

// requests that are due and wait for a connection; with more, the interval gets longer
const maxDue = 1024

type rates struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	// latencies in milliseconds
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type rateFlags struct {
	*flag.FlagSet
	url, method, accept, authorization *string
}

func newRateFlags(name string) rateFlags {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	return rateFlags{flags, flags.String("url", "", "what is asked for"), flags.String("method", "GET", "of the requests"), flags.String("accept", "*/*", "media types"), flags.String("authorization", "", "the header; empty: none")}
}

func (f rateFlags) request() (*url.URL, []byte, error) {
	address, err := url.Parse(*f.url)
	if err != nil {
		return nil, nil, err
	}
	authorization := ""
	if *f.authorization != "" {
		authorization = fmt.Sprintf("Authorization: %s\r\n", *f.authorization)
	}
	return address, []byte(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n%s\r\n", *f.method, address.RequestURI(), address.Host, *f.accept, authorization)), nil
}

// rate sends the same request again and again over each of its connections
func rate(args []string) (any, error) {
	flags := newRateFlags("rate")
	connections := flags.Int("connections", 1, "at a time")
	seconds := flags.Float64("seconds", 3, "how long")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	address, request, err := flags.request()
	if err != nil {
		return nil, err
	}
	latencies := make([][]time.Duration, *connections)
	length := time.Duration(*seconds * float64(time.Second))
	taken, err := together(address, *connections, func(client int, c *connection) error {
		mine := make([]time.Duration, 0, 1<<16)
		defer func() { latencies[client] = mine }()
		began := time.Now()
		for now := began; now.Sub(began) < length; {
			if err := c.roundTrip(request, *flags.method == "HEAD"); err != nil {
				return err
			}
			after := time.Now()
			mine = append(mine, after.Sub(now))
			now = after
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return summary(slices.Concat(latencies...), taken), nil
}

// paced sends one request every interval until its standard input ends, each over a connection that is free, so that none waits for the
// response to another. A latency counts from when the request was due.
func paced(args []string) (any, error) {
	flags := newRateFlags("paced")
	connections := flags.Int("connections", 16, "so many may wait for a response")
	interval := flags.Duration("interval", 5*time.Millisecond, "between two requests")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	address, request, err := flags.request()
	if err != nil {
		return nil, err
	}
	dues := make(chan time.Time, maxDue)
	go func() {
		defer close(dues)
		ended := make(chan struct{})
		go func() {
			io.Copy(io.Discard, os.Stdin)
			close(ended)
		}()
		for due := time.Now(); ; due = due.Add(*interval) {
			select {
			case <-ended:
				return
			case <-time.After(time.Until(due)):
				dues <- due
			}
		}
	}()
	latencies := make([][]time.Duration, *connections)
	taken, err := together(address, *connections, func(client int, c *connection) error {
		for due := range dues {
			if err := c.roundTrip(request, false); err != nil {
				return err
			}
			latencies[client] = append(latencies[client], time.Since(due))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return summary(slices.Concat(latencies...), taken), nil
}

// roundTrip sends a request and reads its response with as little work as possible; a status other than 200 is an error
func (c *connection) roundTrip(request []byte, head bool) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("%s", bytes.TrimSpace(status))
	}
	length, chunked, err := c.readHeaders()
	if err != nil || head {
		return err
	}
	if !chunked {
		_, err = c.reader.Discard(length)
		return err
	}
	if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(c.reader)); err != nil {
		return err
	}
	_, err = c.reader.ReadSlice('\n') // ends the trailer
	return err
}

func (c *connection) readHeaders() (length int, chunked bool, err error) {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if len(line) <= len("\r\n") {
			return length, chunked, nil
		}
		if value, found := header(line, "content-length:"); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, err
			}
		} else if value, found := header(line, "transfer-encoding:"); found {
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

func header(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

func summary(latencies []time.Duration, seconds float64) rates {
	slices.Sort(latencies)
	at := func(part float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		return float64(latencies[min(int(part*float64(len(latencies))), len(latencies)-1)].Microseconds()) / 1000
	}
	return rates{Requests: len(latencies), Seconds: seconds, P50: at(0.5), P99: at(0.99), Max: at(1)}
}

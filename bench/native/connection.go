package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

const (
	// what a Go client sends at a time where it does not know the length
	chunkSize = 32 << 10
)

// connection is one kept-alive HTTP/1.1 connection, without the goroutines and copies of net/http's client
type connection struct {
	host   string
	conn   net.Conn
	reader *bufio.Reader
	// whether the server closes it after its last response
	closing bool
}

func dial(base *url.URL) (*connection, error) {
	c := &connection{host: base.Host}
	return c, c.open()
}

func (c *connection) open() error {
	conn, err := net.Dial("tcp", c.host)
	if err != nil {
		return err
	}
	c.conn, c.reader, c.closing = conn, bufio.NewReaderSize(conn, 16<<10), false
	return nil
}

func (c *connection) close() {
	c.conn.Close()
}

// call sends a request without a body, or with that of a blob, and returns the response, whose body is still to be read
func (c *connection) call(method, target string, body *blob, chunked bool) (*http.Response, error) {
	if c.closing {
		c.close()
		if err := c.open(); err != nil {
			return nil, err
		}
	}
	length := "Content-Length: 0"
	if body != nil && chunked {
		length = "Transfer-Encoding: chunked"
	} else if body != nil {
		length = fmt.Sprintf("Content-Length: %d", body.size)
	}
	_, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\n%s\r\n\r\n", method, target, c.host, length)
	if err == nil && body != nil {
		err = c.send(*body, chunked)
	}
	response, responseErr := http.ReadResponse(c.reader, &http.Request{Method: method})
	if responseErr != nil && err != nil {
		return nil, err
	}
	if responseErr != nil {
		return nil, responseErr
	}
	c.closing = response.Close
	return response, nil
}

func (c *connection) send(b blob, chunked bool) error {
	if !chunked {
		return b.pieces(func(stamp, rest []byte) error {
			buffers := net.Buffers{stamp, rest}
			_, err := buffers.WriteTo(c.conn)
			return err
		})
	}
	if err := b.pieces(c.sendChunks); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, "0\r\n\r\n")
	return err
}

func (c *connection) sendChunks(stamp, rest []byte) error {
	for len(stamp)+len(rest) > 0 {
		part := rest[:min(len(rest), chunkSize-len(stamp))]
		buffers := net.Buffers{[]byte(fmt.Sprintf("%x\r\n", len(stamp)+len(part))), stamp, part, []byte("\r\n")}
		if _, err := buffers.WriteTo(c.conn); err != nil {
			return err
		}
		stamp, rest = nil, rest[len(part):]
	}
	return nil
}

// expect is call for where only the status and the headers matter
func (c *connection) expect(status int, method, target string, body *blob, chunked bool) (*http.Response, error) {
	response, err := c.call(method, target, body, chunked)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	if response.StatusCode != status {
		return nil, fmt.Errorf("%s %s: %d instead of %d: %s", method, target, response.StatusCode, status, text)
	}
	return response, nil
}

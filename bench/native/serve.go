package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// store is what stands behind the smallest registry that clients can push to and pull from
type store interface {
	create() (sink, error)
	// send writes the blob, after the headers, which are as long as headers says; false: there is no such blob
	send(conn *net.TCPConn, digest string, headers func(size int64) string, body bool) (bool, error)
}

type sink interface {
	// receive takes the body of one request
	receive(body io.Reader) error
	commit(digest string) error
}

// server answers pushes and pulls of blobs and manifests and nothing else; it checks no name and keeps no upload over a restart
type server struct {
	store     store
	manifests sync.Map // path -> manifest
	uploads   sync.Map // id -> sink
	ids       atomic.Int64
}

type manifest struct {
	mediaType, digest string
	bytes             []byte
}

// serve runs a reference server until it is ended: "null" drops what comes and sends from memory, "limit" does what no registry that
// addresses content twice can do without: receive, two hashes, write, sync; read and send
func serve(args []string) (any, error) {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	kind := flags.String("kind", "null", "null or limit")
	dir := flags.String("dir", "", "where limit keeps its files")
	address := flags.String("address", "127.0.0.1:0", "to listen on")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	s := &server{store: &nullStore{}}
	if *kind == "limit" {
		s.store = &diskStore{dir: *dir}
	}
	pool() // not within the first answer
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return nil, err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		go func() {
			defer conn.Close()
			if err := s.answer(conn.(*net.TCPConn)); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, *kind, err)
			}
		}()
	}
}

func (s *server) answer(conn *net.TCPConn) error {
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return err
		}
		if request.Header.Get("Expect") == "100-continue" {
			io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		path := request.URL.Path
		switch {
		case path == "/v2/":
			err = respond(conn, "200 OK", "")
		case strings.Contains(path, "/blobs/uploads"):
			err = s.upload(conn, request)
		case strings.Contains(path, "/blobs/"):
			err = s.blob(conn, request)
		default:
			err = s.manifest(conn, request)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", request.Method, path, err)
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return err
		}
	}
}

func (s *server) upload(conn *net.TCPConn, request *http.Request) error {
	name, id, _ := strings.Cut(request.URL.Path, "/blobs/uploads")
	id = strings.Trim(id, "/")
	if request.Method == "POST" {
		created, err := s.store.create()
		if err != nil {
			return err
		}
		id = fmt.Sprint(s.ids.Add(1))
		s.uploads.Store(id, created)
		return respond(conn, "202 Accepted", fmt.Sprintf("Location: %s/blobs/uploads/%s\r\n", name, id))
	}
	found, _ := s.uploads.Load(id)
	upload, ok := found.(sink)
	if !ok {
		return respond(conn, "404 Not Found", "")
	}
	if err := upload.receive(request.Body); err != nil {
		return err
	}
	if request.Method == "PATCH" {
		return respond(conn, "202 Accepted", fmt.Sprintf("Location: %s\r\nRange: 0-0\r\n", request.URL.Path))
	}
	s.uploads.Delete(id)
	digest := request.URL.Query().Get("digest")
	if err := upload.commit(digest); err != nil {
		return err
	}
	return respond(conn, "201 Created", fmt.Sprintf("Location: %s/blobs/%s\r\nDocker-Content-Digest: %s\r\n", name, digest, digest))
}

func (s *server) blob(conn *net.TCPConn, request *http.Request) error {
	digest := request.URL.Path[strings.LastIndex(request.URL.Path, "/")+1:]
	headers := func(size int64) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\nDocker-Content-Digest: %s\r\n\r\n", size, digest)
	}
	found, err := s.store.send(conn, digest, headers, request.Method == "GET")
	if err == nil && !found {
		return respond(conn, "404 Not Found", "")
	}
	return err
}

func (s *server) manifest(conn *net.TCPConn, request *http.Request) error {
	path := request.URL.Path
	if request.Method == "PUT" {
		bytes, err := io.ReadAll(request.Body)
		if err != nil {
			return err
		}
		digest := digestOf(bytes)
		pushed := manifest{request.Header.Get("Content-Type"), digest, bytes}
		s.manifests.Store(path, pushed)
		s.manifests.Store(path[:strings.LastIndex(path, "/")+1]+digest, pushed)
		return respond(conn, "201 Created", fmt.Sprintf("Location: %s\r\nDocker-Content-Digest: %s\r\n", path, digest))
	}
	found, ok := s.manifests.Load(path)
	if !ok {
		return respond(conn, "404 Not Found", "")
	}
	stored := found.(manifest)
	text := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nDocker-Content-Digest: %s\r\nContent-Length: %d\r\n\r\n", stored.mediaType, stored.digest, len(stored.bytes))
	if request.Method == "GET" {
		text += string(stored.bytes)
	}
	_, err := io.WriteString(conn, text)
	return err
}

func respond(conn net.Conn, status, headers string) error {
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %s\r\n%sContent-Length: 0\r\n\r\n", status, headers)
	return err
}

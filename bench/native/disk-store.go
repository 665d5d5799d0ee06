package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	// mebibytes of an upload in memory: between the connection, the hashes and the disk
	buffersInFlight = 8
	// bytes after which the kernel is asked to begin writing, so that the sync at the end does not wait for all
	writeBehind = 8 * mebibyte
	// SYNC_FILE_RANGE_WRITE: begin to write, wait for nothing
	beginWriting = 2
)

// diskStore keeps each blob as one file
type diskStore struct{ dir string }

func (s *diskStore) path(digest string) string {
	return filepath.Join(s.dir, strings.ReplaceAll(digest, ":", "-"))
}

func (s *diskStore) create() (sink, error) {
	file, err := os.CreateTemp(s.dir, "upload-")
	if err != nil {
		return nil, err
	}
	upload := &diskSink{store: s, file: file, free: make(chan []byte, buffersInFlight)}
	for range buffersInFlight {
		upload.free <- nil // made when it is needed
	}
	return upload, nil
}

// diskSink hands every mebibyte to three workers: the hash of the whole, the hash of the leaf, the disk
type diskSink struct {
	store   *diskStore
	file    *os.File
	free    chan []byte
	whole   []byte
	written int64
}

type leaf struct {
	bytes []byte
	users *sync.WaitGroup
}

func (s *diskSink) receive(body io.Reader) error {
	failures := make([]error, 2)
	before := s.written
	var running sync.WaitGroup
	work := func(each func(bytes []byte) error, failure *error) chan leaf {
		leaves := make(chan leaf, buffersInFlight)
		running.Add(1)
		go func() {
			defer running.Done()
			for l := range leaves {
				if *failure == nil {
					*failure = each(l.bytes)
				}
				l.users.Done()
			}
		}()
		return leaves
	}
	whole := sha256.New()
	var none error
	workers := []chan leaf{
		work(func(bytes []byte) error { _, err := whole.Write(bytes); return err }, &none),
		work(func(bytes []byte) error { sha256.Sum256(bytes); return nil }, &none),
		work(s.write, &failures[0]),
	}
	failures[1] = s.deal(body, workers)
	for _, worker := range workers {
		close(worker)
	}
	running.Wait()
	// the request that ends an upload has no body most of the time
	if s.written > before || s.whole == nil {
		s.whole = whole.Sum(nil)
	}
	return errors.Join(failures...)
}

// deal reads the body and gives each piece to all workers
func (s *diskSink) deal(body io.Reader, workers []chan leaf) error {
	for {
		buffer := <-s.free
		if buffer == nil {
			buffer = make([]byte, mebibyte)
		}
		n, err := io.ReadFull(body, buffer)
		if n > 0 {
			var users sync.WaitGroup
			users.Add(len(workers))
			for _, worker := range workers {
				worker <- leaf{buffer[:n], &users}
			}
			go func() {
				users.Wait()
				s.free <- buffer
			}()
		} else {
			s.free <- buffer
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *diskSink) write(bytes []byte) error {
	_, err := s.file.Write(bytes)
	before := s.written / writeBehind
	s.written += int64(len(bytes))
	if err == nil && s.written/writeBehind > before {
		err = syscall.SyncFileRange(int(s.file.Fd()), before*writeBehind, writeBehind, beginWriting)
	}
	return err
}

func (s *diskSink) commit(digest string) error {
	if digest != "sha256:"+hex.EncodeToString(s.whole) {
		return fmt.Errorf("%s: other bytes came", digest)
	}
	if err := syscall.Fdatasync(int(s.file.Fd())); err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(s.file.Name(), s.store.path(digest)); err != nil {
		return err
	}
	directory, err := os.Open(s.store.dir)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

func (s *diskStore) send(conn *net.TCPConn, digest string, headers func(size int64) string, body bool) (bool, error) {
	file, err := os.Open(s.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	found, err := file.Stat()
	if err != nil {
		return false, err
	}
	if _, err := io.WriteString(conn, headers(found.Size())); err != nil || !body {
		return true, err
	}
	_, err = io.Copy(conn, file) // sendfile
	return true, err
}

func digestOf(bytes []byte) string {
	sum := sha256.Sum256(bytes)
	return "sha256:" + hex.EncodeToString(sum[:])
}

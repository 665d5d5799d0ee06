package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"runtime"
	"sync"
)

const (
	mebibyte  = 1 << 20
	poolSize  = 64 * mebibyte
	stampSize = 16
)

// pool holds incompressible bytes, made once: fresh ones for every blob would cost more than to send them
var pool = sync.OnceValue(func() []byte {
	bytes := make([]byte, poolSize)
	block, err := aes.NewCipher(random(16))
	if err != nil {
		panic(err)
	}
	cipher.NewCTR(block, random(16)).XORKeyStream(bytes, bytes)
	return bytes
})

// blob is a slice of the pool whose every mebibyte begins with a stamp of its own, so that no two blobs share a block
type blob struct {
	nonce  uint64
	size   int64
	digest string
}

func newBlob(size int64) blob {
	b := blob{nonce: binary.LittleEndian.Uint64(random(8)), size: size}
	hash := sha256.New()
	b.writeTo(hash)
	b.digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return b
}

// newBlobs makes them on all processors: their digests take as long as a push
func newBlobs(count int, size int64) []blob {
	blobs := make([]blob, count)
	pool()
	inParallel(runtime.NumCPU(), count, func(i int) { blobs[i] = newBlob(size) })
	return blobs
}

// pieces calls send with at most one mebibyte at a time: the stamp, and what follows it
func (b blob) pieces(send func(stamp, rest []byte) error) error {
	for i := int64(0); i*mebibyte < b.size; i++ {
		stamp := make([]byte, stampSize)
		binary.LittleEndian.PutUint64(stamp, b.nonce)
		binary.LittleEndian.PutUint64(stamp[8:], uint64(i))
		length := min(b.size-i*mebibyte, mebibyte)
		start := int64((b.nonce+uint64(i))%(poolSize/mebibyte)) * mebibyte
		head := min(length, stampSize)
		if err := send(stamp[:head], pool()[start+head:start+length]); err != nil {
			return err
		}
	}
	return nil
}

func (b blob) writeTo(w io.Writer) error {
	return b.pieces(func(stamp, rest []byte) error {
		if _, err := w.Write(stamp); err != nil {
			return err
		}
		_, err := w.Write(rest)
		return err
	})
}

func random(length int) []byte {
	bytes := make([]byte, length)
	if _, err := rand.Read(bytes); err != nil {
		panic(err)
	}
	return bytes
}

// inParallel calls work with 0 to count-1 on as many goroutines as given
func inParallel(workers, count int, work func(i int)) {
	next := make(chan int, count)
	for i := range count {
		next <- i
	}
	close(next)
	var running sync.WaitGroup
	for range workers {
		running.Add(1)
		go func() {
			defer running.Done()
			for i := range next {
				work(i)
			}
		}()
	}
	running.Wait()
}

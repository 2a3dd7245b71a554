package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

const (
	headBytes      = 16
	opMsg          = 2013
	moreToCome     = 1 << 1
	messageMax     = 48_000_000
	commandAtBytes = headBytes + 4 + 1 + 4 + 1 // flags, kind of section, the document's length, its first type
)

// reads are the commands that may run beside a writer, and beside each other.
var reads = map[string]bool{
	"aggregate": true, "count": true, "find": true, "getMore": true,
	"hello": true, "isMaster": true, "ismaster": true, "ping": true,
}

// oneWriterAtATime takes connections until the listener is closed, and has the server at `behind`
// answer them, one command that may write at a time: its updates read a document, then write it, and
// two at once would both count. What has begun goes on to its end though its client has gone.
func oneWriterAtATime(listener net.Listener, behind string) error {
	var turn sync.Mutex
	for {
		near, err := listener.Accept()
		if err != nil {
			return err
		}
		go forward(near, behind, &turn)
	}
}

func forward(near net.Conn, behind string, turn *sync.Mutex) {
	defer near.Close()
	far, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer far.Close()
	for {
		request, err := readMessage(near)
		if err != nil {
			return
		}
		answer, err := ask(far, request, turn)
		if err != nil {
			return
		}
		if _, err := near.Write(answer); err != nil {
			return
		}
	}
}

// ask has one request answered; the answer to one that wants none is empty.
func ask(far net.Conn, request []byte, turn *sync.Mutex) ([]byte, error) {
	if !reads[commandOf(request)] {
		turn.Lock()
		defer turn.Unlock()
	}
	if _, err := far.Write(request); err != nil {
		return nil, err
	}
	if isMsg(request) && binary.LittleEndian.Uint32(request[headBytes:])&moreToCome != 0 {
		return nil, nil
	}
	return readMessage(far)
}

func isMsg(message []byte) bool {
	return len(message) > commandAtBytes && binary.LittleEndian.Uint32(message[12:]) == opMsg
}

// commandOf is the name of the first field of an OP_MSG; of other messages, which only greet, it is
// that of a read.
func commandOf(message []byte) string {
	if !isMsg(message) {
		return "hello"
	}
	for end := commandAtBytes; end < len(message); end++ {
		if message[end] == 0 {
			return string(message[commandAtBytes:end])
		}
	}
	return ""
}

func readMessage(from io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(length[:])
	if size < headBytes || size > messageMax {
		return nil, errors.New("no message of MongoDB's wire protocol")
	}
	message := make([]byte, size)
	copy(message, length[:])
	_, err := io.ReadFull(from, message[len(length):])
	return message, err
}

// FerretDB 1.x, a server of MongoDB's wire protocol, with its documents in SQLite files: the second
// store that the tests run on. go.mod has its version and that of everything in it.
//
// Its own program can't be built from the module as published, which lacks a file that a release
// generates; this is the package that it offers for such programs as this one.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	address := flag.String("listen", "127.0.0.1:27017", "where to listen: HOST:PORT")
	data := flag.String("data", "", "folder of the SQLite files; it exists")
	flag.Parse()
	if *data == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, *data); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address, data string) error {
	// What a `kill -9` leaves behind is whole without an fsync a write; what a power cut does is not.
	files := "file:" + data + "/?_pragma=synchronous(normal)"
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		// It warns of every answer that is an error, with the whole of it.
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: files,
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	behind, err := url.Parse(server.MongoDBURI())
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		listener.Close()
	}()
	if err := oneWriterAtATime(listener, behind.Host); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return <-ended
}

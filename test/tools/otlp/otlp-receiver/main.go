// A receiver of OpenTelemetry's protocol: prints the address that it listens on, then the spans of each request that it
// gets at /v1/traces as one line of JSON.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	http.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		// an ExportTraceServiceRequest has the same fields
		var data trace.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
			http.Error(w, "not protobuf", http.StatusBadRequest)
			return
		}
		fmt.Println(protojson.MarshalOptions{}.Format(&data))
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
	panic(http.Serve(listener, nil))
}

module ipdr.test/test/tools/otlp

go 1.26.0

tool ipdr.test/test/tools/otlp/otlp-receiver

require (
	go.opentelemetry.io/proto/otlp v1.11.1
	google.golang.org/protobuf v1.36.12
)

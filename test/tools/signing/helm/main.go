// helm pushes and pulls charts by Helm's own client of registries. The whole helm takes a minute to build, as it has a
// client of Kubernetes in it.
//
//	helm push <chart.tgz> oci://<host>/<folder>
//	helm pull oci://<host>/<folder>/<chart>:<version> <file>
package main

import (
	"fmt"
	"os"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/registry"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("unknown command: %v", args)
	}
	client, err := registry.NewClient(registry.ClientOptPlainHTTP())
	if err != nil {
		return err
	}
	switch args[0] {
	case "push":
		bytes, err := os.ReadFile(args[1])
		if err != nil {
			return err
		}
		chart, err := loader.LoadFile(args[1])
		if err != nil {
			return err
		}
		folder := strings.TrimPrefix(args[2], "oci://")
		_, err = client.Push(bytes, fmt.Sprintf("%s/%s:%s", folder, chart.Metadata.Name, chart.Metadata.Version))
		return err
	case "pull":
		pulled, err := client.Pull(strings.TrimPrefix(args[1], "oci://"))
		if err != nil {
			return err
		}
		return os.WriteFile(args[2], pulled.Chart.Data, 0o644)
	}
	return fmt.Errorf("unknown command: %v", args)
}

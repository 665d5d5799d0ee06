// Command native is the benchmark's own load generator and its reference servers: what has to cost as little as possible beside the
// servers that are measured. Each command prints one line of JSON. Standard library only; Linux.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

var commands = map[string]func(args []string) (any, error){
	"push":              push,
	"pull":              pull,
	"rate":              rate,
	"paced":             paced,
	"serve":             serve,
	"image":             image,
	"fill-blocks":       fillBlocks,
	"fill-distribution": fillDistribution,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fail(fmt.Errorf("no such command"))
	}
	result, err := commands[os.Args[1]](os.Args[2:])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "%v: %v\n", os.Args[1:], err)
	os.Exit(1)
}

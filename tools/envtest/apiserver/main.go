// kube-apiserver, built from its published module, for the tests against a real API server.
package main

import (
	"os"

	_ "time/tzdata" // the machine may have no zone files

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }

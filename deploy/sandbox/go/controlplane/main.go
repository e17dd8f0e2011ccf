// Command controlplane is a Kubernetes control plane in one binary: its first argument names the component to be.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the client-go metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build_info metric
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"nodeward.dev/sandbox/leash"
)

// components are the cobra commands this binary can be. etcd, which is not a cobra command, is handled in main.
var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	component := os.Args[1]
	// The component must see the arguments that it would see as a binary of its own.
	os.Args = append([]string{component}, os.Args[2:]...)

	switch component {
	case "etcd":
		leash.Tie()
		etcdmain.Main(os.Args)
	case "kubectl":
		// No leash: kubectl reads its stdin (`kubectl apply -f -`).
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
	default:
		newCommand, known := components[component]
		if !known {
			usage()
		}
		leash.Tie()
		os.Exit(cli.Run(newCommand()))
	}
}

func usage() {
	names := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"}
	fmt.Fprintf(os.Stderr, "usage: controlplane %s [flags]\n", strings.Join(names, "|"))
	os.Exit(2)
}

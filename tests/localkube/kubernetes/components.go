package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"chatcluster.dev/localkube/kubernetes/provisioner"
)

func runEtcd() { etcdmain.Main(os.Args) }

func runAPIServer() { exit(apiserver.NewAPIServerCommand()) }

func runControllerManager() { exit(controllermanager.NewControllerManagerCommand()) }

func runScheduler() { exit(scheduler.NewSchedulerCommand()) }

func runKubelet() { exit(kubelet.NewKubeletCommand(context.Background())) }

func runProxy() { exit(proxy.NewProxyCommand()) }

func runProvisioner() { exit(provisioner.NewCommand()) }

func exit(command *cobra.Command) { os.Exit(cli.Run(command)) }

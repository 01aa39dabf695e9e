package provisioner

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// NewCommand is the command line of the provisioner.
func NewCommand() *cobra.Command {
	var kubeconfig, node, root string
	command := &cobra.Command{
		Use:           "provisioner",
		Short:         "Makes a PersistentVolume out of a folder for each claim of the provisioner " + Name,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(_ *cobra.Command, _ []string) error {
			return run(genericapiserver.SetupSignalContext(), kubeconfig, folders{root: root, node: node})
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "file that says how to reach the API server")
	command.Flags().StringVar(&node, "node", "", "name of the node that the volumes belong to")
	command.Flags().StringVar(&root, "root", "", "folder that holds one folder for each volume")
	for _, name := range []string{"kubeconfig", "node", "root"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not defined above
		}
	}
	return command
}

// run serves claims until the context ends.
func run(ctx context.Context, kubeconfig string, provisioner folders) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("failed to read %s: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("failed to make a client for %s: %w", kubeconfig, err)
	}
	controller.NewProvisionController(ctx, client, Name, provisioner,
		controller.LeaderElection(false),
		// No metrics: a port would have to differ from cluster to cluster.
		controller.MetricsPort(0),
	).Run(ctx)
	return nil
}

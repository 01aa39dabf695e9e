// Package provisioner makes PersistentVolumes out of folders of this machine. A folder is made when a claim asks
// for it and removed, with everything in it, when its volume is deleted.
package provisioner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name is the provisioner that a StorageClass names to get its volumes from here.
const Name = "chatcluster.dev/folder"

// folderMode lets every user write: kubelet does not apply a pod's fsGroup to hostPath volumes.
const folderMode = 0o777

type folders struct {
	root string
	node string
}

// Provision makes the volume's folder and describes it as a volume that is bound to this node.
func (f folders) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(f.root, options.PVName)
	if err := makeFolder(path); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	kind := corev1.HostPathDirectory
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			MountOptions:                  options.StorageClass.MountOptions,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: options.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind},
			},
			NodeAffinity: f.onlyThisNode(),
		},
	}
	return volume, controller.ProvisioningFinished, nil
}

// Delete removes the volume's folder. A folder that is gone already counts as removed.
func (f folders) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	// The name is joined to the root here, and the path in the object is not used: an edited object must not be
	// able to have another folder of this machine removed.
	path := filepath.Join(f.root, filepath.Base(volume.Name))
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("failed to remove the folder of volume %s: %w", volume.Name, err)
	}
	return nil
}

func (f folders) onlyThisNode() *corev1.VolumeNodeAffinity {
	term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
		Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{f.node},
	}}}
	return &corev1.VolumeNodeAffinity{
		Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}},
	}
}

func makeFolder(path string) error {
	if err := os.MkdirAll(path, folderMode); err != nil {
		return fmt.Errorf("failed to make the folder of a volume: %w", err)
	}
	// MkdirAll obeys the umask, which usually takes the right to write away.
	if err := os.Chmod(path, folderMode); err != nil {
		return fmt.Errorf("failed to open the folder of a volume to every user: %w", err)
	}
	return nil
}

//! The settings files of the API server's audit log, containerd, CNI, kubelet and kube-proxy.

use crate::{
    config::ClusterConfig,
    files::{self, FileError},
    layout::Layout,
};

/// The image of the process that holds a pod's namespaces; see [`crate::binaries`].
pub(crate) const PAUSE_IMAGE: &str = "chatcluster.dev/localkube-pause:1";

/// Names and contents, with `{{placeholders}}`.
const TEMPLATES: &[(&str, &str)] = &[
    ("audit-policy.yaml", include_str!("audit-policy.yaml")),
    ("containerd.toml", include_str!("containerd.toml")),
    ("cni/10-pods.conflist", include_str!("pods.conflist")),
    ("kubelet.yaml", include_str!("kubelet.yaml")),
    ("kube-proxy.yaml", include_str!("kube-proxy.yaml")),
    // For pods that ask for the node's own name servers: it has none.
    ("resolv.conf", "options attempts:1\n"),
];

/// Writes all files.
pub(crate) fn create(config: &ClusterConfig, layout: &Layout) -> Result<(), FileError> {
    files::make_folder(&layout.settings().join("cni"))?;
    for (name, template) in TEMPLATES {
        files::write(&layout.settings().join(name), &fill(template, config, layout))?;
    }
    Ok(())
}

/// Puts the cluster's values in the place of the placeholders.
pub(crate) fn fill(template: &str, config: &ClusterConfig, layout: &Layout) -> String {
    let values = [
        ("{{cgroup}}", format!("/{}", config.cgroup())),
        ("{{client-ca}}", layout.key_file("ca.crt")),
        ("{{cni}}", layout.settings_file("cni")),
        ("{{dns}}", config.dns_service().to_string()),
        ("{{node}}", config.node()),
        ("{{pause-image}}", PAUSE_IMAGE.to_owned()),
        ("{{pods}}", config.pods()),
        ("{{proxy-kubeconfig}}", layout.kubeconfig("kube-proxy").to_string_lossy().into_owned()),
        ("{{resolv-conf}}", layout.settings_file("resolv.conf")),
    ];
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn leaves_no_placeholder_unfilled() {
        let config = ClusterConfig { name: "demo".to_owned(), index: 0 };
        let layout = Layout::new(PathBuf::from("/cache/clusters/demo"));
        for (name, template) in TEMPLATES {
            assert!(!fill(template, &config, &layout).contains("{{"), "{name}");
        }
    }
}

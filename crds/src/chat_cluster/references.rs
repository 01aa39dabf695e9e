//! References to Secrets in the ChatCluster's own namespace. Keys are optional: the default is the one the operator writes itself.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

macro_rules! secret_ref {
    ($(#[$doc:meta])* $name:ident { $($(#[$key_doc:meta])* $key:ident: $default:literal => $getter:ident),+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// Name of a Secret in the same namespace.
            #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
            pub name: String,
            $(
                $(#[$key_doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
                pub $key: Option<String>,
            )+
        }

        impl $name {
            $(
                /// The key, or its default.
                #[must_use]
                pub fn $getter(&self) -> &str {
                    self.$key.as_deref().unwrap_or($default)
                }
            )+
        }
    };
}

secret_ref! {
    /// A Secret with Ed25519 keys.
    SigningKeySecretRef {
        /// Key in the Secret whose value is one to four PKCS#8 PEMs, one after the other; `key.pem` if absent.
        key: "key.pem" => key_or_default
    }
}
secret_ref! {
    /// A Secret with an AMQP URI.
    RabbitMqSecretRef {
        /// Key in the Secret whose value is `amqp://` or `amqps://user:password@host:port/vhost`; `uri` if absent.
        key: "uri" => key_or_default
    }
}
secret_ref! {
    /// A Secret with a Redis URL.
    RedisSecretRef {
        /// Key in the Secret whose value is `redis://:password@host:port`, `redis-sentinel://:password@host:port,host:port/service` or, for the broker alone, `redis-cluster://:password@host:port,host:port`, each with `rediss` for TLS; `url` if absent.
        key: "url" => key_or_default
    }
}
secret_ref! {
    /// A Secret with the URIs of a PostgreSQL database.
    ShardSecretRef {
        /// Key in the Secret whose value is the URI that gateways use, with the role `chat_gateway`; `uri` if absent.
        key: "uri" => key_or_default,
        /// Key in the Secret whose value is the URI of the role that may create schema and roles; `migrationUri` if absent. A Secret without this key is used with `key` for both.
        migration_key: "migrationUri" => migration_key_or_default
    }
}
secret_ref! {
    /// A Secret with certificates of authorities.
    CaSecretRef {
        /// Key in the Secret whose value is PEM; `ca.crt` if absent.
        key: "ca.crt" => key_or_default
    }
}
/// A Secret of type `kubernetes.io/basic-auth`, or one with its keys `username` and `password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginSecretRef {
    /// Name of a Secret in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// A Secret of type `kubernetes.io/tls`, or one with its keys `tls.crt` and `tls.key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSecretRef {
    /// Name of a Secret in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

secret_ref! {
    /// A Secret with a password.
    PasswordSecretRef {
        /// Key in the Secret whose value is the password; `password` if absent.
        key: "password" => key_or_default
    }
}
secret_ref! {
    /// A Secret with a bearer token.
    TokenSecretRef {
        /// Key in the Secret whose value is the token; `token` if absent.
        key: "token" => key_or_default
    }
}

//! The port as the API server sees it, and as everybody else does.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::Uri, response::Json};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use kube::{Client, Config};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{front_proxy::tests::config_map, *};
use crate::{
    autoscale::{Answer, Report},
    metrics::Metrics,
    names::ClusterKey,
    poll::Expected,
    sensitive::Sensitive,
};

const METRIC: &str =
    "/apis/custom.metrics.k8s.io/v1beta2/namespaces/chat/chatclusters.chatcluster.dev/demo/connections";
const LOAD: &str = "/apis/metrics.chatcluster.dev/v1alpha1/namespaces/chat/chatclusters/demo";
const NAME: &str = "chat-operator-metrics.chat-system.svc";

struct Authority(String, Issuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Self(params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        Pair(params.signed_by(&key, &self.1).unwrap().pem(), key.serialize_pem())
    }
}

struct Pair(String, String);

impl Pair {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("tls.crt"), &self.0).unwrap();
        std::fs::write(folder.join("tls.key"), &self.1).unwrap();
    }
}

/// The API server, which knows its front proxy and allows everything to one user.
#[derive(Clone)]
struct ApiServer {
    authentication: Value,
    reviews: Arc<AtomicUsize>,
    /// What the label of the pod was set to.
    marks: Arc<Mutex<Vec<Value>>>,
}

async fn api_server(State(server): State<ApiServer>, uri: Uri, body: Bytes) -> Json<Value> {
    if uri.path().ends_with("/configmaps/extension-apiserver-authentication") {
        return Json(server.authentication);
    }
    if uri.path().ends_with("/namespaces/chat-system/pods/chat-operator-0") {
        let patch: Value = serde_json::from_slice(&body).unwrap();
        server.marks.lock().unwrap().push(patch["metadata"]["labels"]["chatcluster.dev/leader"].clone());
        return Json(json!({ "metadata": { "name": "chat-operator-0" } }));
    }
    assert!(uri.path().ends_with("/subjectaccessreviews"), "nobody asks for {uri}");
    server.reviews.fetch_add(1, Ordering::Relaxed);
    let mut review: Value = serde_json::from_slice(&body).unwrap();
    review["status"] = json!({ "allowed": review["spec"]["user"] == "autoscaler" });
    Json(review)
}

/// The port, with an API server behind it, and certificates for it.
struct Port {
    address: SocketAddr,
    certificates: tempfile::TempDir,
    proxies: Authority,
    servers: Authority,
    leading: Leading,
    reviews: Arc<AtomicUsize>,
    marks: Arc<Mutex<Vec<Value>>>,
    client: Client,
    stop: CancellationToken,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Port {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (proxies, servers) = (Authority::new(), Authority::new());
        let certificates = tempfile::tempdir().unwrap();
        servers.sign("chat-operator", ExtendedKeyUsagePurpose::ServerAuth).write(certificates.path());

        let reviews = Arc::new(AtomicUsize::new(0));
        let authentication = serde_json::to_value(config_map(&proxies.0, &["front-proxy-client"])).unwrap();
        let marks = Arc::<Mutex<Vec<Value>>>::default();
        let state = ApiServer { authentication, reviews: Arc::clone(&reviews), marks: Arc::clone(&marks) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(api_server).with_state(state)).await });
        let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();

        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (leading, stop) = (Leading::default(), CancellationToken::new());
        let settings = Settings {
            listen: free,
            certificates: certificates.path().to_owned(),
            namespace: "chat-system".to_owned(),
            pod: "chat-operator-0".to_owned(),
        };
        tokio::spawn(serve(settings, client.clone(), Arc::clone(&leading), stop.clone()));
        let port = Self { address: free, certificates, proxies, servers, leading, reviews, marks, client, stop };
        let begun = tokio::time::Instant::now();
        while let Err(error) = port.get(Some(&port.proxy()), "/apis", &[]).await {
            assert!(begun.elapsed() < Duration::from_secs(30), "the port does not answer: {error:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        port
    }

    fn proxy(&self) -> Pair {
        self.proxies.sign("front-proxy-client", ExtendedKeyUsagePurpose::ClientAuth)
    }

    async fn get(
        &self,
        shown: Option<&Pair>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.servers.0.as_bytes())?)?;
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match shown {
            None => config.with_no_client_auth(),
            Some(Pair(certificate, key)) => config.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?,
        };
        let stream = TcpStream::connect(self.address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME)?, stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::get(path).header("host", NAME);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let (code, body) = (answer.status(), answer.into_body().collect().await?.to_bytes());
        Ok((code, serde_json::from_slice(&body)?))
    }

    async fn get_as(&self, user: &str, path: &str) -> (StatusCode, Value) {
        self.get(Some(&self.proxy()), path, &[("x-remote-user", user)]).await.unwrap()
    }

    /// Leads, with a ChatCluster whose gateways have said what they have.
    fn lead(&self) -> Arc<Poller> {
        let (sender, _) = tokio::sync::mpsc::channel(1);
        let poller = Arc::new(Poller::new(sender, Arc::new(Metrics::new().unwrap())));
        let demo = ClusterKey::new("chat", "demo");
        poller.watch(&demo, &Sensitive::new("t"), None);
        poller.expect(&demo, Expected { gateways: 2, connections_per_gateway: 10_000 });
        assert!(self.leading.set(Arc::clone(&poller)).is_ok());
        poller
    }
}

fn report(pod: &str, connections: Option<i64>) -> Report {
    let answer = connections.map(|connections| Answer { connections, ..Answer::default() });
    Report { pod: pod.to_owned(), ready: true, leaving: false, answer }
}

#[tokio::test]
async fn nobody_but_the_front_proxy_gets_in() {
    let port = Port::open().await;
    port.lead();
    let autoscaler = [("x-remote-user", "autoscaler")];
    assert_eq!(port.get(Some(&port.proxy()), "/apis", &autoscaler).await.unwrap().0, StatusCode::OK);
    let wrong_name = port.proxies.sign("kubelet", ExtendedKeyUsagePurpose::ClientAuth);
    let wrong_use = port.proxies.sign("front-proxy-client", ExtendedKeyUsagePurpose::ServerAuth);
    let stranger = Authority::new().sign("front-proxy-client", ExtendedKeyUsagePurpose::ClientAuth);
    // The API server's own certificate is no word for its clients either.
    let neighbour = port.servers.sign("front-proxy-client", ExtendedKeyUsagePurpose::ClientAuth);
    for shown in [None, Some(&wrong_name), Some(&wrong_use), Some(&stranger), Some(&neighbour)] {
        let answer = port.get(shown, METRIC, &autoscaler).await;
        assert!(answer.is_err(), "{:?}: {answer:?}", shown.map(|pair| &pair.0));
    }
}

#[tokio::test]
async fn what_may_be_read_is_the_api_servers_to_say() {
    let port = Port::open().await;
    let poller = port.lead();
    poller.meter(&ClusterKey::new("chat", "demo"), &[report("a", Some(10)), report("b", Some(20))]);
    let before = port.reviews.load(Ordering::Relaxed);
    for _ in 0..3 {
        let (code, value) = port.get_as("autoscaler", METRIC).await;
        assert_eq!((code, &value["items"][0]["value"]), (StatusCode::OK, &json!("30")), "{value}");
        assert_eq!(port.get_as("somebody", METRIC).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(port.reviews.load(Ordering::Relaxed) - before, 2, "one question for each user");
    let (code, load) = port.get_as("autoscaler", LOAD).await;
    assert_eq!((code, &load["connections"], &load["gateways"]), (StatusCode::OK, &json!(30), &json!(2)), "{load}");
    assert_eq!(port.get_as("somebody", "/apis").await.0, StatusCode::FORBIDDEN);
    assert_eq!(port.get_as("autoscaler", "/apis/custom.metrics.k8s.io/v1beta2").await.1["kind"], "APIResourceList");
    let (code, nobody) = port.get(Some(&port.proxy()), METRIC, &[]).await.unwrap();
    assert_eq!((code, &nobody["reason"]), (StatusCode::UNAUTHORIZED, &json!("Unauthorized")));
}

#[tokio::test]
async fn what_is_not_known_is_an_error() {
    let port = Port::open().await;
    let demo = ClusterKey::new("chat", "demo");
    assert_eq!(port.get_as("autoscaler", METRIC).await.0, StatusCode::SERVICE_UNAVAILABLE, "it does not lead");
    let poller = port.lead();
    for path in [METRIC, LOAD] {
        assert_eq!(port.get_as("autoscaler", path).await.0, StatusCode::SERVICE_UNAVAILABLE, "nothing was asked yet");
    }
    poller.meter(&demo, &[report("a", Some(10)), report("b", None)]);
    assert_eq!(port.get_as("autoscaler", METRIC).await.0, StatusCode::SERVICE_UNAVAILABLE, "one was never heard");
    poller.meter(&demo, &[report("a", Some(10)), report("b", Some(0))]);
    assert_eq!(port.get_as("autoscaler", METRIC).await.0, StatusCode::OK);
    let messages = METRIC.replace("connections", "messages_per_second");
    assert_eq!(port.get_as("autoscaler", &messages).await.0, StatusCode::SERVICE_UNAVAILABLE, "not counted for long");
    poller.forget(&demo);
    let (code, gone) = port.get_as("autoscaler", METRIC).await;
    assert_eq!((code, &gone["reason"]), (StatusCode::NOT_FOUND, &json!("NotFound")), "{gone}");
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
    let port = Port::open().await;
    let (client, proxy) = (port.client.clone(), port.proxy());
    let tls = Tls::new(port.certificates.path().to_owned());
    tls.look(&client).await.unwrap();
    let first = tls.present().unwrap();
    tls.look(&client).await.unwrap();
    assert!(Arc::ptr_eq(&first.config, &tls.present().unwrap().config), "nothing has changed");
    std::fs::write(port.certificates.path().join("tls.key"), "broken").unwrap();
    tls.look(&client).await.unwrap_err();
    assert!(Arc::ptr_eq(&first.config, &tls.present().unwrap().config), "what held goes on");
    port.servers.sign("chat-operator", ExtendedKeyUsagePurpose::ServerAuth).write(port.certificates.path());
    tls.look(&client).await.unwrap();
    assert!(!Arc::ptr_eq(&first.config, &tls.present().unwrap().config));
    assert!(tls.present().unwrap().proxy.is(&CertificateDer::from_pem_slice(proxy.0.as_bytes()).unwrap()));
}

#[tokio::test]
async fn the_service_leads_to_the_replica_that_leads() {
    let port = Port::open().await;
    let marks = async |count: usize| {
        let begun = tokio::time::Instant::now();
        while port.marks.lock().unwrap().len() < count {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", port.marks.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        port.marks.lock().unwrap().clone()
    };
    assert_eq!(marks(1).await, [Value::Null], "an earlier process in the pod may have led");
    port.lead();
    assert_eq!(marks(2).await, [Value::Null, json!("true")]);
}

//! Names: hosts(5), and a small real DNS server.

use super::peer::Backend;
use super::*;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

#[derive(Clone)]
enum Answer {
    Addresses(Vec<Ipv4Addr>),
    Nothing,
    Broken,
    Silent,
}

/// A server that gives the current answer to every A query, with a TTL of 1 s.
async fn server() -> (SocketAddr, Arc<Mutex<Answer>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let answer = Arc::new(Mutex::new(Answer::Nothing));
    let current = answer.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (n, from) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..n]).unwrap();
            let answer = current.lock().unwrap().clone();
            if let Some(response) = respond(query, answer) {
                socket.send_to(&response, from).await.unwrap();
            }
        }
    });
    (address, answer)
}

fn respond(query: Message, answer: Answer) -> Option<Vec<u8>> {
    let question = query.queries[0].clone();
    let mut response = query.into_response();
    match answer {
        Answer::Silent => return None,
        Answer::Broken => response.metadata.response_code = ResponseCode::ServFail,
        Answer::Nothing => response.metadata.response_code = ResponseCode::NXDomain,
        Answer::Addresses(addresses) => {
            if question.query_type() == RecordType::A {
                for ip in addresses {
                    let data = RData::A(ip.into());
                    let record = Record::from_rdata(question.name().clone(), 1, data);
                    response.add_answer(record);
                }
            }
        }
    }
    Some(response.to_vec().unwrap())
}

fn named(host: &str, port: u16) -> ClusterParams {
    let mut params = params(&[]);
    params.endpoints = vec![EndpointAddress::Name {
        host: host.into(),
        port,
    }];
    params
}

fn spawn(host: &str, server: SocketAddr) -> EndpointsWatch {
    spawn_port(host, server, 8001)
}

fn spawn_port(host: &str, server: SocketAddr, port: u16) -> EndpointsWatch {
    let dns = DnsParams {
        servers: vec![server],
        min_ttl: ms(100),
        max_ttl: Duration::from_secs(60),
        timeout: ms(300),
    };
    let handle = tokio::runtime::Handle::current();
    Endpoints::spawn(&named(host, port), &dns, &handle, Arc::default())
}

async fn until_addresses(watch: &EndpointsWatch, expected: &[&str]) {
    let addresses = || -> Vec<String> {
        let current = watch.current();
        current.iter().map(|e| e.address.ip().to_string()).collect()
    };
    until_that(
        || addresses() == expected,
        || format!("{:?}, not {expected:?}", addresses()),
    )
    .await;
}

const A: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

#[test]
fn names_are_resolved_again_when_their_ttl_ends() {
    on_worker(async {
        let (server, answer) = server().await;
        *answer.lock().unwrap() = Answer::Addresses(vec![B, A]);
        let watch = spawn("backend.test.", server);
        assert!(watch.current().is_empty());
        assert!(watch.ready(Duration::from_secs(5)).await);
        until_addresses(&watch, &["10.1.0.1", "10.1.0.2"]).await;
        let current = watch.current();
        assert_eq!(&*current[0].host, "backend.test.");
        assert_eq!(current[0].address.port(), 8001);
        assert_eq!(watch.stats().snapshot().get(Stat::Endpoints), 2);

        *answer.lock().unwrap() = Answer::Addresses(vec![B]);
        until_addresses(&watch, &["10.1.0.2"]).await;
        assert!(watch.stats().snapshot().get(Stat::DnsResolutions) >= 2);
    });
}

#[test]
fn failures_keep_the_last_good_addresses() {
    on_worker(async {
        let (server, answer) = server().await;
        *answer.lock().unwrap() = Answer::Addresses(vec![A]);
        let watch = spawn("backend.test.", server);
        until_addresses(&watch, &["10.1.0.1"]).await;
        for bad in [Answer::Broken, Answer::Nothing, Answer::Silent] {
            *answer.lock().unwrap() = bad;
            let before = watch.stats().snapshot().get(Stat::DnsFailures);
            until_that(
                || watch.stats().snapshot().get(Stat::DnsFailures) > before,
                || "no failure was counted".into(),
            )
            .await;
            until_addresses(&watch, &["10.1.0.1"]).await;
        }
        *answer.lock().unwrap() = Answer::Addresses(vec![B]);
        until_addresses(&watch, &["10.1.0.2"]).await;
    });
}

#[test]
fn a_name_that_never_resolved_has_no_endpoints() {
    on_worker(async {
        let (server, _answer) = server().await;
        let watch = spawn("backend.test.", server);
        assert!(!watch.ready(ms(300)).await);
        assert!(watch.stats().snapshot().get(Stat::DnsFailures) > 0);
    });
}

#[test]
fn localhost_needs_no_server() {
    on_worker(async {
        let (server, answer) = server().await;
        *answer.lock().unwrap() = Answer::Silent;
        let watch = spawn("localhost", server);
        assert!(watch.ready(Duration::from_secs(5)).await);
        let loopback = |endpoint: &Endpoint| endpoint.address.ip().is_loopback();
        assert!(watch.current().iter().all(loopback));
    });
}

#[test]
fn fixed_addresses_and_names_come_in_order_and_once() {
    on_worker(async {
        let mut params = named("localhost", 8001);
        let fixed: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8001);
        params.endpoints.insert(0, EndpointAddress::Socket(fixed));
        params.endpoints.push(EndpointAddress::Socket(loopback));
        let handle = tokio::runtime::Handle::current();
        let watch = Endpoints::spawn(&params, &DnsParams::default(), &handle, Arc::default());
        assert_eq!(watch.current().len(), 2, "fixed ones are there at once");
        until(watch.stats(), Stat::DnsResolutions, 1).await;
        let current = watch.current();
        assert_eq!(current[0].address, fixed);
        let same = current.iter().filter(|e| e.address == loopback).count();
        assert_eq!(same, 1);
    });
}

#[test]
fn a_changed_answer_moves_new_requests_and_no_streams() {
    on_worker(async {
        let (server, answer) = server().await;
        let old = Backend::new(100).await;
        // The same port on another address of the loopback network.
        let port = old.address.port();
        let new = Backend::on((OTHER_LOOPBACK, port).into(), 100).await;
        *answer.lock().unwrap() = Answer::Addresses(vec![Ipv4Addr::LOCALHOST]);
        let watch = spawn_port("backend.test.", server, port);
        let params = params(&[]);
        let cluster = Cluster::new(Arc::new(params), watch.clone(), None);
        assert!(cluster.acquire(&[]).await.is_err(), "not resolved yet");
        assert!(watch.ready(LONG).await);
        tokio::task::yield_now().await;
        let held = tokio::task::spawn_local({
            let cluster = cluster.clone();
            async move { get(&cluster, "/hold").await }
        });
        old.until_held(1).await;
        *answer.lock().unwrap() = Answer::Addresses(vec![OTHER_LOOPBACK]);
        until_addresses(&watch, &["127.0.0.2"]).await;
        get(&cluster, "/now").await.unwrap();
        assert_eq!(new.state.requests.get(), 1);
        old.release();
        assert_eq!(&held.await.unwrap().unwrap().1[..], b"held");
    });
}

const OTHER_LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[test]
fn resolution_ends_with_the_last_watch() {
    on_worker(async {
        let (server, answer) = server().await;
        *answer.lock().unwrap() = Answer::Addresses(vec![A]);
        let watch = spawn("backend.test.", server);
        until_addresses(&watch, &["10.1.0.1"]).await;
        let stats = watch.stats().clone();
        drop(watch);
        tokio::time::sleep(ms(1300)).await;
        let after = stats.snapshot().get(Stat::DnsResolutions);
        tokio::time::sleep(ms(1300)).await;
        assert_eq!(stats.snapshot().get(Stat::DnsResolutions), after);
    });
}

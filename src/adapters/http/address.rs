//! Which addresses may be called, and how names become addresses.
//!
//! A host that an integrator wrote into `connections.toml` is meant, also when it is private or loopback. An address that somebody
//! else supplies (data, an answer, a link, a redirect) must be a public one. The metadata services of clouds hand out credentials
//! to whoever asks, and are never called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Metadata services: AWS, Google, Azure and most others; ECS tasks and EKS pods of AWS; Alibaba; Azure's wire server; Oracle.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The same services of AWS, and of Google, in IPv6.
const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Whether a cloud's metadata service answers there, in whichever way the address is written.
pub fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => METADATA_V6.contains(&v6) || inner_v4(v6).is_some_and(|v4| METADATA_V4.contains(&v4)),
    }
}

/// Whether an address that somebody else supplies may be called: a public one, of nobody's own network.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match inner_v4(v6) {
            Some(v4) => is_public_v4(v4),
            None => {
                let first = v6.segments()[0];
                // Global unicast, without what documentation and tests use.
                first & 0xe000 == 0x2000
                    && !(first == 0x2001 && matches!(v6.segments()[1], 0xdb8 | 0..=0x1ff))
                    && first != 0x3fff
            }
        },
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let reserved = a == 0 || a >= 240 || (a == 192 && b == 0 && c == 0) || (a == 198 && matches!(b, 18 | 19));
    let other = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_documentation();
    !(shared || reserved || other || METADATA_V4.contains(&v4))
}

/// The IPv4 address inside: mapped, compatible, NAT64 and 6to4.
fn inner_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(v4(g, h)),
        [0, 0, 0, 0, 0, 0] if g > 0 => Some(v4(g, h)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Why an address that an answer points to may not be called, if so; for the message about it.
pub(super) fn why_dangerous(location: &str) -> Option<&'static str> {
    let Ok(url) = reqwest::Url::parse(location) else { return None };
    if !matches!(url.scheme(), "http" | "https") {
        return Some("not an HTTP address");
    }
    let address = literal(&url)?;
    match () {
        () if is_metadata(address) => Some("the metadata service of a cloud"),
        () if !is_public(address) => Some("an address inside a network"),
        () => None,
    }
}

/// The address that stands in a URL itself, in any of the forms that RFC 3986 parsers take (`0x7f.1`).
pub(super) fn literal(url: &reqwest::Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Turns names into addresses within a deadline, and leaves out those that are never called; the connection is made to exactly
/// the addresses that were looked at.
pub(super) struct Resolver {
    pub(super) deadline: Duration,
}

/// Why a name has no address that may be called.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameError {
    /// The system says so.
    #[error("the name `{name}` has no address: {reason}")]
    Unknown { name: String, reason: String },
    /// It did not answer.
    #[error("the name `{name}` was not resolved within {} s", deadline.as_secs())]
    Late { name: String, deadline: Duration },
    /// Every address is that of a metadata service.
    #[error("the name `{name}` stands for {address}, the metadata service of a cloud, which is never called")]
    Metadata { name: String, address: IpAddr },
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (name, deadline) = (name.as_str().to_owned(), self.deadline);
        Box::pin(async move { Ok(lookup(name, deadline).await.map(|found| Box::new(found.into_iter()) as Addrs)?) })
    }
}

async fn lookup(name: String, deadline: Duration) -> Result<Vec<SocketAddr>, NameError> {
    let resolving = tokio::net::lookup_host((name.clone(), 0));
    match tokio::time::timeout(deadline, resolving).await {
        Err(_) => Err(NameError::Late { name, deadline }),
        Ok(Err(error)) => {
            // `failed to lookup address information: Name or service not known`
            let reason = error.to_string().rsplit(": ").next().unwrap_or_default().to_owned();
            Err(NameError::Unknown { name, reason })
        }
        Ok(Ok(found)) => allowed(name, found.collect()),
    }
}

fn allowed(name: String, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NameError> {
    match found.iter().find(|address| is_metadata(address.ip())) {
        // A name that stands for such an address among others is no accident.
        Some(address) => Err(NameError::Metadata { name, address: address.ip() }),
        None if found.is_empty() => Err(NameError::Unknown { name, reason: "the answer is empty".to_owned() }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(url: &str) -> IpAddr {
        literal(&reqwest::Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn metadata_services_are_known_in_every_way_of_writing_them() {
        for url in [
            "http://169.254.169.254/latest",
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://0251.0376.0251.0376/",
            "http://169.254.43518/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
        ] {
            assert!(is_metadata(host(url)), "{url}");
            assert!(!is_public(host(url)), "{url}");
        }
    }

    #[test]
    fn e23_an_address_that_somebody_else_supplies_is_public_or_dangerous() {
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://10.1.2.3/",
            "http://192.168.1.1/",
            "http://172.16.0.1/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[::ffff:10.0.0.1]/",
            "http://198.18.0.1/",
            "http://192.0.2.1/",
        ] {
            assert!(!is_public(host(url)), "{url}");
            assert!(why_dangerous(url).is_some(), "{url}");
        }
        for url in ["http://93.184.216.34/", "https://[2606:2800:220:1:248:1893:25c8:1946]/"] {
            assert!(is_public(host(url)), "{url}");
            assert_eq!(why_dangerous(url), None, "{url}");
        }
        assert_eq!(why_dangerous("file:///etc/passwd"), Some("not an HTTP address"));
        assert_eq!(why_dangerous("https://erp.example.com/v2"), None);
    }

    #[test]
    fn a_name_that_was_rebound_to_a_metadata_service_is_not_called() {
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        let rebound = allowed("erp.example".to_owned(), vec![at("93.184.216.34"), at("169.254.169.254")]);
        let message =
            "the name `erp.example` stands for 169.254.169.254, the metadata service of a cloud, which is never called";
        assert_eq!(rebound.unwrap_err().to_string(), message);
        assert_eq!(
            allowed("erp".to_owned(), vec![at("127.0.0.1")]).unwrap(),
            [at("127.0.0.1")],
            "a private one is meant"
        );
    }

    #[tokio::test]
    async fn d01_a_name_without_an_address_is_told_from_one_that_was_not_resolved_in_time() {
        let unknown = lookup("no-such-host.invalid".to_owned(), Duration::from_secs(20)).await.unwrap_err().to_string();
        assert!(unknown.starts_with("the name `no-such-host.invalid` has no address: "), "{unknown}");
        let late = NameError::Late { name: "slow.example".to_owned(), deadline: Duration::from_secs(20) }.to_string();
        assert_eq!(late, "the name `slow.example` was not resolved within 20 s");
    }
}

//! Address arithmetic: the blocks of a subnet, its gateways, and how many addresses are left.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::types::SubnetSpec;

/// The address plan of a subnet: one block, or one of each family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub v4: Option<Block>,
    pub v6: Option<Block>,
}

/// The addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub net: IpNet,
    pub gateway: IpAddr,
    /// The number of addresses for pods, used or not. Saturates: ::/0 has one address more than `u128::MAX`.
    pub usable: u128,
}

/// An error in the addresses of a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    Cidr(String),
    TwoBlocksOfOneFamily,
    Gateway(String),
    GatewayOutside { gateway: IpAddr, net: IpNet },
    GatewayWithoutBlock(IpAddr),
    Exclude(String),
    Protocol { asked: String, found: &'static str },
}

/// First and last address of a range, as numbers.
type Range = (u128, u128);

// === impl Plan ===

impl Plan {
    /// Reads and checks `cidrBlock`, `gateway`, `excludeIps` and `protocol`.
    pub fn of(spec: &SubnetSpec) -> Result<Self, PlanError> {
        let (mut v4, mut v6) = (None, None);
        for text in list(&spec.cidr_block) {
            let net: IpNet = text.parse().map_err(|_| PlanError::Cidr(text.to_owned()))?;
            let family = if net.addr().is_ipv4() { &mut v4 } else { &mut v6 };
            if family.replace(net.trunc()).is_some() {
                return Err(PlanError::TwoBlocksOfOneFamily);
            }
        }
        let found = match (v4, v6) {
            (Some(_), Some(_)) => "Dual",
            (Some(_), None) => "IPv4",
            (None, Some(_)) => "IPv6",
            (None, None) => return Err(PlanError::Cidr(spec.cidr_block.clone())),
        };
        if !spec.protocol.is_empty() && spec.protocol != found {
            return Err(PlanError::Protocol { asked: spec.protocol.clone(), found });
        }
        let gateways: Vec<IpAddr> = list(&spec.gateway)
            .map(|text| text.parse().map_err(|_| PlanError::Gateway(text.to_owned())))
            .collect::<Result<_, _>>()?;
        let excluded: Vec<(IpAddr, IpAddr)> =
            spec.exclude_ips.iter().map(|text| exclude(text)).collect::<Result<_, _>>()?;
        let block = |net: Option<IpNet>, is_family: fn(&IpAddr) -> bool| {
            let gateway = gateways.iter().find(|ip| is_family(ip)).copied();
            let of_family = excluded.iter().filter(|(first, _)| is_family(first));
            match (net, gateway) {
                (None, Some(gateway)) => Err(PlanError::GatewayWithoutBlock(gateway)),
                (None, None) => Ok(None),
                (Some(net), gateway) => Block::new(net, gateway, of_family).map(Some),
            }
        };
        Ok(Self { v4: block(v4, IpAddr::is_ipv4)?, v6: block(v6, IpAddr::is_ipv6)? })
    }
}

// === impl Block ===

impl Block {
    fn new<'a>(
        net: IpNet,
        gateway: Option<IpAddr>,
        excluded: impl Iterator<Item = &'a (IpAddr, IpAddr)>,
    ) -> Result<Self, PlanError> {
        let (first, last) = hosts(net);
        let gateway = gateway.unwrap_or_else(|| address(first, net));
        if !net.contains(&gateway) {
            return Err(PlanError::GatewayOutside { gateway, net });
        }
        let gateway_range = (number(gateway), number(gateway));
        let taken = excluded.map(|(a, b)| (number(*a), number(*b))).chain([gateway_range]);
        let taken = size_of_union((first, last), taken.collect());
        let size = (last - first).saturating_add(1);
        Ok(Self { net, gateway, usable: size - taken })
    }
}

/// The addresses of a block that hosts can have: without the network and the broadcast address in IPv4, without the
/// routers' anycast address in IPv6. A block of one or two addresses has no such exceptions.
fn hosts(net: IpNet) -> Range {
    let (first, last) = (number(net.network()), number(net.broadcast()));
    match net {
        _ if last - first < 2 => (first, last),
        IpNet::V4(_) => (first + 1, last - 1),
        IpNet::V6(_) => (first + 1, last),
    }
}

/// How many addresses within `bounds` at least one range covers.
fn size_of_union(bounds: Range, mut ranges: Vec<Range>) -> u128 {
    ranges.sort_unstable();
    let (mut next, mut size) = (Some(bounds.0), 0u128);
    for (first, last) in ranges {
        let Some(from) = next.map(|next| next.max(first)) else { break };
        let to = last.min(bounds.1);
        if from <= to {
            size = size.saturating_add((to - from).saturating_add(1));
            next = to.checked_add(1);
        }
    }
    size
}

/// `a` or `a..b`, both of one family.
fn exclude(text: &str) -> Result<(IpAddr, IpAddr), PlanError> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    match (first.trim().parse::<IpAddr>(), last.trim().parse::<IpAddr>()) {
        (Ok(first), Ok(last)) if first.is_ipv4() == last.is_ipv4() && first <= last => Ok((first, last)),
        _ => Err(PlanError::Exclude(text.to_owned())),
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn address(number: u128, of: IpNet) -> IpAddr {
    match of {
        IpNet::V4(_) => Ipv4Addr::from_bits(number as u32).into(),
        IpNet::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

// === impl PlanError ===

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(text) => write!(f, "spec.cidrBlock: {text:?} is not a CIDR block"),
            Self::TwoBlocksOfOneFamily => f.write_str("spec.cidrBlock: two blocks of one address family"),
            Self::Gateway(text) => write!(f, "spec.gateway: {text:?} is not an IP address"),
            Self::GatewayOutside { gateway, net } => write!(f, "spec.gateway: {gateway} is not within {net}"),
            Self::GatewayWithoutBlock(ip) => {
                write!(f, "spec.gateway: {ip} has no block of its address family")
            }
            Self::Exclude(text) => {
                write!(f, "spec.excludeIps: {text:?} is neither an address nor a range a..b")
            }
            Self::Protocol { asked, found } => {
                write!(f, "spec.protocol: {asked:?}, but spec.cidrBlock makes it {found}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(cidr: &str, gateway: &str, exclude: &[&str]) -> SubnetSpec {
        SubnetSpec {
            cidr_block: cidr.into(),
            gateway: gateway.into(),
            exclude_ips: exclude.iter().map(|text| (*text).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn usable(cidr: &str, gateway: &str, exclude: &[&str]) -> (Option<u128>, Option<u128>) {
        let plan = Plan::of(&spec(cidr, gateway, exclude)).unwrap();
        (plan.v4.map(|block| block.usable), plan.v6.map(|block| block.usable))
    }

    #[test]
    fn the_gateway_network_and_broadcast_addresses_are_not_for_pods() {
        assert_eq!(usable("10.0.0.0/24", "10.0.0.1", &[]), (Some(253), None));
        assert_eq!(usable("10.0.0.0/24", "", &[]), (Some(253), None));
        assert_eq!(usable("10.0.0.0/30", "10.0.0.2", &[]), (Some(1), None));
        assert_eq!(usable("10.0.0.0/31", "", &[]), (Some(1), None));
        assert_eq!(usable("10.0.0.7/32", "", &[]), (Some(0), None));
        assert_eq!(usable("0.0.0.0/0", "", &[]), (Some((1 << 32) - 3), None));
    }

    #[test]
    fn large_ipv6_blocks_do_not_overflow() {
        assert_eq!(usable("fd00::/64", "fd00::1", &[]), (None, Some((1 << 64) - 2)));
        assert_eq!(usable("fd00::/64", "", &["fd00::..fd00::ffff:ffff:ffff:ffff"]), (None, Some(0)));
        assert_eq!(usable("::/0", "", &[]), (None, Some(u128::MAX - 1)));
        assert_eq!(usable("::/0", "", &["::..ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]), (None, Some(0)));
        assert_eq!(usable("fd00::/127", "", &[]), (None, Some(1)));
        assert_eq!(usable("fd00::/128", "", &[]), (None, Some(0)));
    }

    #[test]
    fn dual_stack_has_a_block_and_a_gateway_of_each_family() {
        let plan = Plan::of(&spec("10.1.0.0/16,fd00:1::/112", "10.1.0.1, fd00:1::1", &[])).unwrap();
        assert_eq!(plan.v4.unwrap().usable, 65_533);
        let v6 = plan.v6.unwrap();
        assert_eq!((v6.usable, v6.gateway.to_string()), (65_534, "fd00:1::1".to_owned()));
    }

    #[test]
    fn excluded_addresses_count_once_and_only_inside_the_block() {
        let excluded =
            ["10.0.0.1..10.0.0.10", "10.0.0.5..10.0.0.20", "10.0.0.7", "10.9.0.0..10.9.0.255", "fd00::1"];
        assert_eq!(usable("10.0.0.0/24", "10.0.0.1", &excluded), (Some(254 - 20), None));
        assert_eq!(usable("10.0.0.0/24", "10.0.0.254", &["0.0.0.0..255.255.255.255"]), (Some(0), None));
        assert_eq!(usable("10.0.0.0/24", "10.0.0.254", &["10.0.0.255..10.0.1.9"]), (Some(253), None));
    }

    #[test]
    fn what_is_left_agrees_with_counting_one_by_one() {
        for seed in 0..300u32 {
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
            let mut below = |n: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) % n
            };
            let prefix = 26 + below(7);
            let base = 0x0a00_0000 + below(256);
            let net: IpNet = format!("{}/{prefix}", Ipv4Addr::from_bits(base)).parse().unwrap();
            let exclude: Vec<(u32, u32)> = (0..below(6))
                .map(|_| (0x0a00_0000 + below(300), below(40)))
                .map(|(first, length)| (first, first + length))
                .collect();
            let texts: Vec<String> = exclude
                .iter()
                .map(|(a, b)| format!("{}..{}", Ipv4Addr::from_bits(*a), Ipv4Addr::from_bits(*b)))
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let block = Plan::of(&spec(&net.to_string(), "", &texts)).unwrap().v4.unwrap();
            let counted = net.hosts().filter(|ip| {
                let number = number(*ip) as u32;
                *ip != block.gateway && !exclude.iter().any(|(a, b)| (*a..=*b).contains(&number))
            });
            assert_eq!(block.usable, counted.count() as u128, "seed {seed}: {net} without {texts:?}");
        }
    }

    #[test]
    fn each_mistake_names_the_field_and_the_text() {
        for (spec, message) in [
            (spec("", "", &[]), "spec.cidrBlock: \"\" is not a CIDR block"),
            (spec("10.0.0.0/33", "", &[]), "spec.cidrBlock: \"10.0.0.0/33\" is not a CIDR block"),
            (spec("10.0.0.0/8,11.0.0.0/8", "", &[]), "spec.cidrBlock: two blocks of one address family"),
            (spec("10.0.0.0/24", "x", &[]), "spec.gateway: \"x\" is not an IP address"),
            (spec("10.0.0.0/24", "10.0.1.1", &[]), "spec.gateway: 10.0.1.1 is not within 10.0.0.0/24"),
            (spec("10.0.0.0/24", "fd00::1", &[]), "spec.gateway: fd00::1 has no block of its address family"),
            (
                spec("10.0.0.0/24", "", &["9..8"]),
                "spec.excludeIps: \"9..8\" is neither an address nor a range a..b",
            ),
            (
                spec("10.0.0.0/24", "", &["10.0.0.9..10.0.0.8"]),
                "spec.excludeIps: \"10.0.0.9..10.0.0.8\" is neither an address nor a range a..b",
            ),
            (
                SubnetSpec { protocol: "Dual".into(), ..spec("10.0.0.0/24", "", &[]) },
                "spec.protocol: \"Dual\", but spec.cidrBlock makes it IPv4",
            ),
        ] {
            assert_eq!(Plan::of(&spec).unwrap_err().to_string(), message);
        }
    }
}

//! Addresses that no network can tell apart: one of each class.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// One address of every class: every set of `networks` that some address is in, and no other is.
pub(super) fn classes(networks: &[IpNet]) -> Vec<IpAddr> {
    let everywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let everywhere = everywhere.into_iter().filter_map(|address| IpNet::new(address, 0).ok());
    let mut all: Vec<IpNet> = networks.iter().map(IpNet::trunc).chain(everywhere).collect();
    all.sort_unstable();
    all.dedup();
    // Networks lie in each other or apart, so a class is a network without those that lie in it.
    all.iter().filter_map(|network| beside(network, &all)).collect()
}

/// The first address of a network that is in none of those that lie in it.
fn beside(network: &IpNet, all: &[IpNet]) -> Option<IpAddr> {
    let mut inner: Vec<&IpNet> = all.iter().filter(|other| *other != network && network.contains(*other)).collect();
    inner.sort_unstable_by_key(|inner| inner.network());
    let is_free = |at: &IpAddr| network.contains(at) && inner.iter().all(|inner| !inner.contains(at));
    let mut at = network.network();
    while let Some(covering) = inner.iter().find(|inner| inner.contains(&at)) {
        at = after(covering.broadcast())?;
    }
    // A network's own address is no host's: the next makes the better example.
    let next = after(at).filter(is_free);
    next.or(Some(at)).filter(is_free)
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(1).map(|bits| Ipv4Addr::from(bits).into()),
        IpAddr::V6(address) => u128::from(address).checked_add(1).map(|bits| Ipv6Addr::from(bits).into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "tests")]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(address: IpAddr, networks: &[IpNet]) -> Vec<bool> {
        networks.iter().map(|network| network.contains(&address)).chain([address.is_ipv4()]).collect()
    }

    fn networks(text: &[&str]) -> Vec<IpNet> {
        text.iter().map(|text| text.parse().expect("a network")).collect()
    }

    #[test]
    fn a_network_that_others_fill_is_no_class() {
        let filled = networks(&["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"]);
        assert_eq!(classes(&filled).len(), 4, "two halves, and what is elsewhere in both families");
        assert_eq!(classes(&[]).len(), 2);
        assert_eq!(classes(&networks(&["0.0.0.0/0"])).len(), 2);
        assert_eq!(classes(&networks(&["255.255.255.255/32", "ffff::/16"])).len(), 4);
    }

    proptest! {
        #[test]
        fn no_class_is_missed(
            nets in prop::collection::vec((0_u8..4, 0_u8..4, prop::sample::select(vec![6, 7, 8, 15, 16, 31, 32])), 0..6),
            addresses in prop::collection::vec((0_u8..4, 0_u8..4, 0_u8..3), 1..30),
        ) {
            let nets: Vec<IpNet> = nets
                .into_iter()
                .map(|(a, b, length)| IpNet::new(IpAddr::from([a, b, 0, 0]), length).expect("a network").trunc())
                .collect();
            let found: Vec<_> = classes(&nets).into_iter().map(|address| of(address, &nets)).collect();
            let all: BTreeSet<_> = found.iter().cloned().collect();
            prop_assert_eq!(all.len(), found.len(), "two addresses of one class");
            for (a, b, c) in addresses {
                let address = IpAddr::from([a, b, 0, c]);
                prop_assert!(all.contains(&of(address, &nets)), "{} of {:?}", address, nets);
            }
        }
    }
}

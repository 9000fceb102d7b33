//! Every piece can be done again and again, or counting says nothing.

use super::WORKS;

/// What cannot be done again would be counted only once.
#[test]
fn every_piece_can_be_done_again() {
    for (name, ready) in WORKS {
        let mut work = ready();
        (0..3).for_each(|_| work());
        assert!(name.contains(": "), "{name} does not say whose work it is");
    }
}

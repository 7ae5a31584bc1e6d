//! index

mod posting;

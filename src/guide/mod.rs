//! The guide: one page per question. Every Rust block on these pages is compiled and run by the tests.
//!
//! | page | question |
//! |---|---|
//! | [`concepts`] | What are the parts, and what happens in a lap? |
//! | [`your_observations`] | How do I train on my own files and pictures? |
//! | [`your_channel`] | How do I describe my own corruption? |
//! | [`your_network`] | How do I bring my own network? |
//! | [`trust`] | How far can I trust a posterior? |
//! | [`scale`] | How do I train on several machines? |
//! | [`browser`] | How does a posterior get from the terminal into a web page? |

#[doc = include_str!("concepts.md")]
pub mod concepts {}

#[doc = include_str!("your_observations.md")]
pub mod your_observations {}

#[doc = include_str!("your_channel.md")]
pub mod your_channel {}

#[doc = include_str!("your_network.md")]
pub mod your_network {}

#[doc = include_str!("trust.md")]
pub mod trust {}

#[doc = include_str!("scale.md")]
pub mod scale {}

#[doc = include_str!("browser.md")]
pub mod browser {}

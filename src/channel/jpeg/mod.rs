//! JPEG compression, which is not linear. The codec needs the cargo feature `jpeg`; the
//! settings parse without it.

#[cfg(feature = "jpeg")]
mod codec;

#[cfg(feature = "jpeg")]
pub use codec::Jpeg;

use super::{Channel, Signal, Stage};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// JPEG compression (images of 1 or 3 color channels; cargo feature `jpeg`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JpegConfig {
    /// Quality, from 1 (smallest file) to 100.
    pub quality: u8,
}

impl Stage for JpegConfig {
    #[cfg(feature = "jpeg")]
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(Jpeg::new(signal.image("jpeg")?, self.quality)?))
    }

    #[cfg(not(feature = "jpeg"))]
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        signal.image("jpeg")?;
        Err(Error::config("kind", "\"jpeg\" needs the cargo feature `jpeg`, which this build lacks"))
    }

    /// The browser build leaves the codec out.
    fn check_browser(&self) -> Result<()> {
        let message = "\"jpeg\" does not run in the browser; export a run with another channel";
        Err(Error::config("kind", message))
    }
}

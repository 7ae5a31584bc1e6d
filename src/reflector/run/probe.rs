//! Small requests to the server: which version it has reached, and whether it serves the kind.

use std::cmp::Ordering;

use super::Reflector;
use crate::reflector::recovery::Pace;
use crate::reflector::sink::Sink;
use crate::reflector::state::{Input, Probe};
use crate::source::{ListRequest, Source};
use crate::version::ResourceVersion;

impl<S: Source, W: Sink<S::Payload>> Reflector<S, W> {
    /// Reads one object consistently, to learn the current version.
    pub(super) async fn probe(&mut self) -> Input {
        let request = ListRequest { limit: Some(1), continue_token: None, resource_version: None };
        let probed = self.source.list(&request).await;
        if probed.is_ok() {
            self.reached();
        }
        let probe = match probed {
            Err(error) => {
                self.failed(error.clone());
                Probe::Failed(error)
            }
            Ok(page) => match self.probed(&page.resource_version) {
                Some(Ordering::Equal) => Probe::Same,
                Some(Ordering::Less) => {
                    self.failed(self.protocol("list", "a version below the one held"));
                    Probe::Below
                }
                Some(Ordering::Greater) | None => Probe::Newer,
            },
        };
        Input::Probed(probe)
    }

    /// Asks discovery whether the kind is served, after a 404.
    pub(super) async fn discover(&mut self) -> Input {
        let served = match self.source.served().await {
            Ok(served) => {
                self.reached();
                Some(served)
            }
            Err(error) => {
                self.failed(error);
                None
            }
        };
        Input::Discovered { served }
    }

    pub(super) async fn show_absence(&mut self) -> Input {
        self.log.absent();
        self.sink.commit_absence().await;
        self.committed();
        self.well();
        self.wait(Pace::Absent, None).await
    }

    fn probed(&self, version: &ResourceVersion) -> Option<Ordering> {
        self.sink.held().and_then(|held| version.partial_cmp(&held))
    }
}

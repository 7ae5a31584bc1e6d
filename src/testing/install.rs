//! Kinds that are installed while a server runs.

use super::definition;
use super::kind::Kind;
use super::state::State;
use super::status::ApiStatus;
use super::write::By;

pub(super) fn install(state: &mut State, kind: Kind) -> Result<(), ApiStatus> {
    if kind.is_custom() && state.find(definition::DEFINITIONS).is_some() && state.find(&kind.name()).is_none()
    {
        state.create(definition::DEFINITIONS, None, definition::of(&kind), By::SERVER)?;
    }
    // Even if there is a definition: the kind may have settings that a definition cannot express.
    state.serve(kind);
    Ok(())
}

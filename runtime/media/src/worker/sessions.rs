//! The sessions of a worker, in the order of their ids.

use vocab::SessionId;

use crate::session::Session;

/// A sorted list: ids only grow, so a new session goes to the end, and a tick goes through all of
/// them in one sweep. Ids lie apart from the sessions, so that finding one touches few cache lines.
#[derive(Debug, Default)]
#[allow(
    clippy::vec_box,
    reason = "one that closes would move the kilobytes of all behind it"
)]
pub(crate) struct Sessions {
    ids: Vec<SessionId>,
    sessions: Vec<Box<Session>>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Where a session is; good until the next insertion or removal.
    pub(crate) fn place(&self, id: SessionId) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    /// The id at a place.
    pub(crate) fn id(&self, place: usize) -> SessionId {
        self.ids[place]
    }

    /// The session at a place.
    pub(crate) fn at(&self, place: usize) -> &Session {
        &self.sessions[place]
    }

    /// The session at a place.
    pub(crate) fn at_mut(&mut self, place: usize) -> &mut Session {
        &mut self.sessions[place]
    }

    /// The sessions at two different places.
    pub(crate) fn pair_mut(&mut self, a: usize, b: usize) -> [&mut Session; 2] {
        let pair = self.sessions.get_disjoint_mut([a, b]);
        pair.expect("a bridge has two different sides")
            .map(|session| &mut **session)
    }

    /// A member of a conference.
    pub(crate) fn member_mut(&mut self, id: SessionId) -> &mut Session {
        let place = self.place(id).expect("a session that closes leaves first");
        self.at_mut(place)
    }

    /// Adds a session; false if the id is taken.
    pub(crate) fn insert(&mut self, id: SessionId, session: Session) -> bool {
        match self.ids.binary_search(&id) {
            Ok(_) => false,
            Err(place) => {
                self.ids.insert(place, id);
                self.sessions.insert(place, Box::new(session));
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, place: usize) -> Box<Session> {
        self.ids.remove(place);
        let session = self.sessions.remove(place);
        assert_eq!(
            self.ids.len(),
            self.sessions.len(),
            "the lists grow and shrink together"
        );
        session
    }
}

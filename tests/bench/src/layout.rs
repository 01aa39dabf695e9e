//! Who is in which room. The same for every peer, and the same in every run.

/// Rooms of one user in the spread layout.
pub(crate) const ROOMS_PER_USER: usize = 5;
/// Members of one room in the spread layout.
pub(crate) const MEMBERS: usize = 50;

/// Users and rooms by number, from 0.
#[derive(Debug)]
pub(crate) struct Layout {
    rooms_of: Vec<Vec<u32>>,
    members: Vec<Vec<u32>>,
}

impl Layout {
    /// Every user in [`ROOMS_PER_USER`] rooms of about [`MEMBERS`] members, hardly two users in the same five.
    /// `users` is rounded down to a multiple of [`MEMBERS`], at least one.
    pub(crate) fn spread(users: usize) -> Self {
        Self::spread_of(users, MEMBERS)
    }

    /// As [`Layout::spread`], with rooms of another size.
    pub(crate) fn spread_of(users: usize, members_each: usize) -> Self {
        let rooms_each = (users / members_each).max(1);
        let users = rooms_each * members_each;
        // Steps without a common divisor with the number of users visit each user once, so rooms come out equal.
        let steps = [1, 7, 11, 13, 17, 19, 23, 29, 31].into_iter().filter(|step| gcd(*step, users) == 1);
        let mut members = vec![Vec::new(); rooms_each * ROOMS_PER_USER];
        let mut rooms_of = vec![Vec::new(); users];
        for (layer, step) in steps.take(ROOMS_PER_USER).enumerate() {
            for (user, rooms) in rooms_of.iter_mut().enumerate() {
                let room = layer * rooms_each + (user * step % users) / members_each;
                rooms.push(number(room));
                members[room].push(number(user));
            }
        }
        Self { rooms_of, members }
    }

    /// Every user in one room.
    pub(crate) fn one_room(users: usize) -> Self {
        Self { rooms_of: vec![vec![0]; users], members: vec![(0..number(users)).collect()] }
    }

    /// Number of users.
    pub(crate) fn users(&self) -> usize {
        self.rooms_of.len()
    }

    /// Number of rooms.
    pub(crate) fn rooms(&self) -> usize {
        self.members.len()
    }

    /// The rooms of a user.
    pub(crate) fn rooms_of(&self, user: usize) -> &[u32] {
        &self.rooms_of[user]
    }

    /// The members of a room.
    pub(crate) fn members(&self, room: u32) -> &[u32] {
        &self.members[room as usize]
    }

    /// Which of a user's rooms this is.
    pub(crate) fn slot(&self, user: usize, room: u32) -> Option<usize> {
        self.rooms_of[user].iter().position(|known| *known == room)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Users and rooms are thousands, so that 32 bits hold their numbers.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_in_five_rooms_of_fifty() {
        for users in [50, 1_000, 2_000, 10_000] {
            let layout = Layout::spread(users);
            assert_eq!(layout.users(), users);
            assert_eq!(layout.rooms(), users / MEMBERS * ROOMS_PER_USER);
            assert!((0..layout.rooms()).all(|room| layout.members(number(room)).len() == MEMBERS));
            assert!((0..users).all(|user| layout.rooms_of(user).len() == ROOMS_PER_USER));
        }
    }
}

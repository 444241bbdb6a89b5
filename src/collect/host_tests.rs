//! Who is a guest, and for how long. How guests are measured, tests against servers show.

use super::*;
use crate::{
    config::{self, Sources},
    model::{
        guests::Wish,
        snapshot::{Server, Snapshot},
    },
};

/// A host of one server, what was asked of it, and what it publishes.
struct Scene {
    host: Host,
    wishes: watch::Sender<Wishes>,
    part: watch::Sender<Part>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

fn scene() -> Scene {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "redis: [{name: main, url: 'h:1'}]").unwrap();
    let config = config::load(&Sources { file: Some(file.path().into()), ..Sources::default() }).unwrap();
    let assignment = Assignment::all(&config).next().unwrap();
    let servers = vec![Arc::new(Server { ..assignment.unpolled() })];
    let (publish, snapshot) = watch::channel(Arc::new(Snapshot { servers, ..Snapshot::default() }));
    let (wishes, wished) = watch::channel(Wishes::new(10));
    let (part, parts) = watch::channel(Part::Share(Share { shard: 0, total: 2 }));
    let board = Board { snapshot: publish, retired: Default::default() };
    Scene { host: Host::new(assignment, board, parts, wished), wishes, part, snapshot }
}

impl Scene {
    fn ask(&self, name: &str, now: Instant) {
        self.wishes.send_modify(|wishes| {
            wishes.ask(&"main".into(), &Wish::named(name.into()), None, now).unwrap();
        });
    }

    fn guests(&self) -> usize {
        self.host.guests.as_ref().map_or(0, |invitation| invitation.wishes.len())
    }

    fn publish(&self) {
        let guests = Guests {
            share: Share { shard: 0, total: 2 },
            heard: vec![],
            taken: 0,
            poll: Err(Fault::new(crate::model::fault::FaultKind::Connect, "down")),
        };
        self.host.board.publish("main", |server| server.guests = Some(Arc::new(guests)));
    }

    fn shows_guests(&self) -> bool {
        self.snapshot.borrow().server("main").unwrap().guests.is_some()
    }
}

#[test]
fn guests_go_when_nobody_asks_for_them_any_more() {
    let (mut scene, start) = (scene(), Instant::now());
    assert!(!scene.host.look_round(start) && scene.guests() == 0);
    scene.ask("a", start);
    scene.ask("b", start + IDLE / 2);
    assert!(scene.host.look_round(start + IDLE / 2) && scene.guests() == 2);
    assert!(!scene.host.look_round(start + IDLE / 2), "that is no news");
    scene.publish();
    assert!(scene.host.look_round(start + IDLE) && scene.guests() == 1 && scene.shows_guests());
    assert!(!scene.host.look_round(start + IDLE * 2) && scene.guests() == 0);
    assert!(!scene.shows_guests(), "what was known of them is not answered with any more");
    scene.ask("a", start + IDLE * 2);
    assert!(scene.host.look_round(start + IDLE * 2) && scene.guests() == 1);
}

#[test]
fn another_share_has_other_guests() {
    let (mut scene, now) = (scene(), Instant::now());
    scene.ask("a", now);
    scene.host.look_round(now);
    scene.part.send_replace(Part::Share(Share { shard: 0, total: 3 }));
    assert!(scene.host.look_round(now));
    assert_eq!(scene.host.guests.as_ref().unwrap().share.total, 3);
    scene.part.send_replace(Part::Unknown("why".into()));
    assert!(!scene.host.look_round(now) && scene.guests() == 0);
}

#[test]
fn what_is_refused_is_looked_at_again_after_some_time() {
    let (mut scene, now) = (scene(), Instant::now());
    scene.ask("a", now);
    scene.host.look_round(now);
    scene.host.refused_since = Some(now);
    scene.host.look_round(now + IDLE / 2);
    assert!(scene.host.refused_since.is_some());
    scene.ask("a", now + IDLE);
    scene.host.look_round(now + IDLE);
    assert!(scene.host.refused_since.is_none());
}

//! What a poller makes of the answers of its rounds.

use chat_gateway_config::stats::{GatewayStats, Taken};

use super::{
    target::{CONNECTIONS_EVERY, DEAF, PATIENCE},
    testing::stats,
    *,
};
use crate::autoscale::{Answer, Hold, Settings};

fn one(key: &ClusterKey, connections: u32) -> HashMap<ClusterKey, ClusterView> {
    let view = testing::view(&[stats("g1", connections, &[])]);
    HashMap::from([(key.clone(), ClusterView { connections: 0, ..view })])
}

#[tokio::test(start_paused = true)]
async fn a_gateway_may_miss_two_rounds() {
    let (sender, _receiver) = mpsc::channel(8);
    let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
    let key = ClusterKey::new("ns", "demo");
    poller.watch(&key, &Sensitive::new("t"), None);
    let silence = || {
        let silent = [("g1".to_owned(), "no answer".to_owned())].into();
        HashMap::from([(key.clone(), ClusterView { silent, ..ClusterView::default() })])
    };
    poller.store(one(&key, 1), &HashMap::new());
    for _ in 1..PATIENCE {
        assert_eq!(poller.store(silence(), &HashMap::new()), Vec::new(), "the last answer stands");
    }
    assert_eq!(poller.store(silence(), &HashMap::new()), vec![key.clone()]);
    assert_eq!(poller.view(&key).silent.len(), 1);
    assert_eq!(poller.store(one(&key, 1), &HashMap::new()), vec![key.clone()], "and it is back by itself");
}

/// A gateway that does not answer in a round.
fn unheard(view: ClusterView, pod: &str) -> ClusterView {
    ClusterView { deaf: [pod.to_owned()].into(), ..view }
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_in_vain_for_half_a_minute_is_deaf_unless_nobody_answers() {
    let (sender, _receiver) = mpsc::channel(8);
    let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
    let key = ClusterKey::new("ns", "demo");
    poller.watch(&key, &Sensitive::new("t"), None);
    let round = |answers: &[GatewayStats]| {
        let view = unheard(testing::view(answers), "g2");
        poller.store(HashMap::from([(key.clone(), view)]), &HashMap::new())
    };
    let one = [stats("g1", 1, &[])];
    round(&one);
    tokio::time::advance(DEAF - PERIOD).await;
    assert_eq!((round(&one), poller.view(&key).deaf.len()), (Vec::new(), 0));
    tokio::time::advance(PERIOD).await;
    assert_eq!(round(&one), vec![key.clone()], "that is news");
    assert!(poller.view(&key).deaf.contains("g2"));
    for _ in 0..30 {
        tokio::time::advance(PERIOD).await;
        round(&[]);
    }
    assert!(poller.view(&key).deaf.is_empty(), "it may be the operator that hears nobody");
    poller.store(HashMap::from([(key.clone(), testing::view(&one))]), &HashMap::new());
    tokio::time::advance(DEAF).await;
    round(&one);
    assert!(poller.view(&key).deaf.is_empty(), "one answer, and the time begins anew");
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_has_taken_is_news_and_stands_while_it_is_silent() {
    let (sender, _receiver) = mpsc::channel(8);
    let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
    let key = ClusterKey::new("ns", "demo");
    poller.watch(&key, &Sensitive::new("t"), None);
    let taken = |config: &str| Some(Taken { config: Some(config.to_owned()), ..Taken::default() });
    let says = |live: Option<Taken>| {
        let mut views = one(&key, 1);
        views.values_mut().flat_map(|view| view.gateways.values_mut()).for_each(|stats| stats.live = live.clone());
        poller.store(views, &HashMap::new())
    };
    says(taken("old"));
    assert_eq!(says(taken("old")), Vec::new());
    assert_eq!(says(taken("new")), vec![key.clone()]);
    for _ in 0..2 * PATIENCE {
        let silent = [("g1".to_owned(), "no answer".to_owned())].into();
        poller.store(HashMap::from([(key.clone(), ClusterView { silent, ..ClusterView::default() })]), &HashMap::new());
    }
    let view = poller.view(&key);
    assert_eq!((view.gateways.len(), view.last_words.get("g1").cloned()), (0, taken("new")));
    says(taken("new"));
    assert!(poller.view(&key).last_words.is_empty(), "it speaks for itself again");
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_news_at_once_and_what_it_was_made_of_with_the_connections() {
    let (sender, _receiver) = mpsc::channel(8);
    let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
    let key = ClusterKey::new("ns", "demo");
    let scaling = || {
        let (window, floors) = (Duration::from_secs(1_800), Vec::new());
        let settings = Settings { min: 1, max: 5, connections: 10, messages: None, target: 70, window, floors };
        Some(Scaling { settings, hold: Hold::None, replicas: Some(1) })
    };
    let watch = |scaling: Option<Scaling>| poller.watch(&key, &Sensitive::new("t"), scaling);
    assert_eq!(watch(scaling()), Some(1), "what there is, until somebody was asked");
    let round = |connections: u32| {
        let answer = Some(Answer { connections: connections.into(), ..Answer::default() });
        let report = Report { pod: "g1".to_owned(), ready: true, leaving: false, answer };
        poller.store(one(&key, connections), &HashMap::from([(key.clone(), vec![report])]))
    };
    let published = || poller.view(&key).scaling.map(|decision| (decision.desired, decision.connections));
    assert_eq!((round(2), published()), (vec![key.clone()], Some((1, 2))));
    tokio::time::advance(PERIOD).await;
    assert_eq!((round(3), published()), (vec![], Some((1, 2))), "another number of connections can wait");
    tokio::time::advance(PERIOD).await;
    assert_eq!((round(9), published()), (vec![key.clone()], Some((2, 9))), "another number of gateways cannot");
    assert_eq!(watch(scaling()), Some(2));
    assert_eq!((watch(None), published()), (None, None), "somebody else decides now");
}

#[tokio::test(start_paused = true)]
async fn connections_are_news_at_most_every_ten_seconds() {
    let (sender, _receiver) = mpsc::channel(8);
    let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
    let key = ClusterKey::new("ns", "demo");
    poller.watch(&key, &Sensitive::new("t"), None);
    assert_eq!(poller.store(one(&key, 1), &HashMap::new()), vec![key.clone()], "the first answer is news");
    assert_eq!(poller.view(&key).connections, 1);
    for connections in 2..6 {
        tokio::time::advance(PERIOD).await;
        assert_eq!(poller.store(one(&key, connections), &HashMap::new()), Vec::new());
        assert_eq!(poller.view(&key).connections, 1, "published only when it is news");
    }
    tokio::time::advance(PERIOD).await;
    assert_eq!(poller.store(one(&key, 9), &HashMap::new()), vec![key.clone()]);
    assert_eq!(poller.view(&key).connections, 9);
    tokio::time::advance(CONNECTIONS_EVERY * 3).await;
    assert_eq!(poller.store(one(&key, 9), &HashMap::new()), Vec::new(), "an idle cluster has no news");
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_round_is_under_way_is_left_to_whoever_asks_it_first() {
    let (sender, _receiver) = mpsc::channel(8);
    let poller = Poller::new(sender, Arc::new(Metrics::new().unwrap()));
    let key = ClusterKey::new("ns", "demo");
    poller.watch(&key, &Sensitive::new("t"), None);
    assert_eq!(poller.store(HashMap::new(), &HashMap::new()), Vec::new());
    assert!(!poller.view(&key).asked, "the round knows nothing of it");
    // No pods, and so nobody to ask.
    poller.meet(&key, &Sensitive::new("t"), &[]).await;
    assert!(poller.view(&key).asked);
    assert_eq!(poller.store(HashMap::new(), &HashMap::new()), Vec::new(), "nothing has changed");
    poller.store(one(&key, 1), &HashMap::new());
    poller.meet(&key, &Sensitive::new("t"), &[]).await;
    assert_eq!(poller.view(&key).gateways.len(), 1, "it is no stranger any more");
}

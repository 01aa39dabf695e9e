//! Starts a cluster, or what is missing of one.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Cluster, ClusterError};
use crate::{
    addons,
    binaries::Binaries,
    certificates, command,
    component::{Component, Extent},
    files, namespace, process, settings,
    state::State,
};

/// Seconds until a component answers: a few on an idle machine.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);
/// A healthy cluster proves that it is one within this time.
const HEALTH_CHECK: Duration = Duration::from_secs(5);

impl Cluster {
    pub(super) fn ensure_running(&self, binaries: &Binaries) -> Result<(), ClusterError> {
        let fits = |state: &State| state.index == self.config.index && state.extent == self.extent;
        let known = State::load(&self.layout).filter(|state| state.settled && fits(state));
        if let Some(mut state) = known.filter(|state| state.holder().is_some()) {
            let dead = state.dead();
            if dead.is_empty() && self.is_healthy(binaries, HEALTH_CHECK) {
                return Ok(());
            }
            self.say(&format!("is half dead; starting {} again ...", list(&dead)));
            match self.start_missing(binaries, &mut state) {
                Ok(()) => return Ok(()),
                Err(error) => self.say(&format!("could not be repaired ({error}); starting it anew ...")),
            }
        }
        self.take_down()?;
        self.start_anew(binaries)
    }

    fn start_anew(&self, binaries: &Binaries) -> Result<(), ClusterError> {
        let begin = Instant::now();
        self.say("starting (about 15 seconds) ...");
        files::make_folder(self.layout.folder())?;
        let mut state = State::new(&self.config, self.extent);
        state.save(&self.layout)?;
        certificates::create(&self.config, &self.layout)?;
        settings::create(&self.config, &self.layout)?;

        self.cgroup.create()?;
        let entrance = self.cgroup.entrance();
        let holder = namespace::create(&self.layout, &binaries.pause, &entrance)?;
        state.processes.insert(Component::Namespaces, holder.clone());
        state.save(&self.layout)?;
        namespace::connect(&self.config, &holder, &entrance)?;

        self.start_missing(binaries, &mut state)?;
        self.say(&format!("is ready after {:.1} s", begin.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Starts every component that does not run, waits until the cluster answers, and makes what each cluster has.
    pub(super) fn start_missing(&self, binaries: &Binaries, state: &mut State) -> Result<(), ClusterError> {
        state.settled = false;
        state.save(&self.layout)?;
        let dead = state.dead();
        // Whoever ended before is not who is waited for.
        state.processes.retain(|component, _| !dead.contains(component));
        let (with_api, without_api): (Vec<_>, Vec<_>) = dead.into_iter().partition(|c| c.needs_api());
        for component in without_api {
            self.start(component, binaries, state)?;
        }
        if self.extent == Extent::Whole {
            self.import_images(binaries, state)?;
        }
        self.wait_for_api(binaries, state)?;
        for component in with_api {
            self.start(component, binaries, state)?;
        }
        if self.extent == Extent::Whole {
            addons::apply(&self.config, &self.layout, || self.own_kubectl(binaries))?;
            let ready = || self.is_healthy(binaries, Duration::from_secs(2));
            self.wait_for(Component::Kubelet, state, "the node and the name server are ready", ready)?;
        }
        state.settled = true;
        state.save(&self.layout)?;
        Ok(())
    }

    pub(super) fn start_api_server(&self, binaries: &Binaries, state: &mut State) -> Result<(), ClusterError> {
        self.start(Component::KubeApiserver, binaries, state)?;
        self.wait_for_api(binaries, state)
    }

    fn wait_for_api(&self, binaries: &Binaries, state: &State) -> Result<(), ClusterError> {
        self.wait_for(Component::KubeApiserver, state, "the API server answers", || self.api_answers(binaries))
    }

    fn start(&self, component: Component, binaries: &Binaries, state: &mut State) -> Result<(), ClusterError> {
        let holder = state.holder().cloned().ok_or_else(|| ClusterError::NotRunning(self.config.name.clone()))?;
        let line = component.command_line(&self.config, &self.layout, binaries);
        let further = component.further(self.extent, &self.layout);
        let words = line.iter().chain(&further).map(String::as_str);
        let words: Vec<&str> = self.extent.environment().iter().copied().chain(words).collect();
        let log = self.layout.component_log(component);
        let process = process::start(&namespace::inside(&holder, &words), &self.cgroup.entrance(), &log)?;
        state.processes.insert(component, process);
        state.save(&self.layout)?;
        Ok(())
    }

    fn import_images(&self, binaries: &Binaries, state: &State) -> Result<(), ClusterError> {
        let Some(holder) = state.holder() else {
            return Err(ClusterError::NotRunning(self.config.name.clone()));
        };
        let entrance = self.cgroup.entrance();
        let answers = || command::succeeds(&mut namespace::command_inside(holder, &entrance, &["ctr", "version"]));
        self.wait_for(Component::Containerd, state, "containerd answers", answers)?;
        for archive in &binaries.images {
            self.import(holder, archive)?;
        }
        Ok(())
    }

    /// Waits until `reached` says yes, and gives up when any component has ended.
    fn wait_for(
        &self,
        who: Component,
        state: &State,
        what: &str,
        reached: impl Fn() -> bool,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if reached() {
                return Ok(());
            }
            let ended = state.processes.iter().find(|(_, process)| !process.is_alive()).map(|(&c, _)| c);
            if ended.is_some() || Instant::now() > deadline {
                let guilty = ended.unwrap_or(who);
                let why = if ended.is_some() { format!("{guilty} ended") } else { "in vain".to_owned() };
                let log = files::read(&self.layout.component_log(guilty)).unwrap_or_default();
                return Err(ClusterError::NotReady {
                    what: format!("waited until {what}: {why}"),
                    log: command::last_lines(&log, 10),
                });
            }
            thread::sleep(PAUSE);
        }
    }

    fn say(&self, what: &str) {
        eprintln!("cluster {}: {what}", self.config.name);
    }
}

fn list(components: &[Component]) -> String {
    match components {
        [] => "nothing, but waiting for it".to_owned(),
        some => some.iter().map(|component| component.name()).collect::<Vec<_>>().join(", "),
    }
}

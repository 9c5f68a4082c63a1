//! Tasks of a service that are stopping: until they have ended they go on with the value that they were started with.

use aws_sdk_ecs::types::{DesiredStatus, Service, Task};

use super::ecs_service::EcsService;
use crate::transport::aws::Failure;
use crate::world::{ErrorClass, WorldError};

/// Pages of tasks that are looked at, a hundred each: those that have stopped are listed for an hour.
const PAGES: usize = 10;
/// States of a task that has ended.
const ENDED: [&str; 2] = ["STOPPED", "DELETED"];

impl EcsService {
    /// What is said of tasks that are stopping and were started by another definition than `service` names, or that were not seen to have
    /// ended. Those that cannot be seen have ended where it is declared how long they may take.
    pub(super) async fn stopping(&self, service: &Service) -> Option<String> {
        match self.tasks().await {
            Ok(tasks) => {
                let old = |task: &&Task| task.task_definition_arn() != service.task_definition();
                let ends = |task: &&Task| !ENDED.contains(&task.last_status().unwrap_or_default());
                let count = tasks.iter().filter(old).filter(ends).count();
                (count > 0).then(|| format!("{count} tasks of an earlier roll-out are stopping"))
            }
            Err(_) if self.bounded => None,
            Err(error) => {
                let next = "permit `ecs:ListTasks` and `ecs:DescribeTasks`, or declare `max-staleness`, no less than they may take";
                Some(format!("whether tasks of an earlier roll-out are stopping is not seen ({}): {next}", error.cause))
            }
        }
    }

    /// Tasks of it that are to stop or have stopped.
    async fn tasks(&self) -> Result<Vec<Task>, WorldError> {
        let failed = |failure: Failure| failure.during(self.operation("list the tasks of"));
        let request = self.client.list_tasks().cluster(&self.config.cluster).service_name(&self.config.service);
        let mut pages = request.desired_status(DesiredStatus::Stopped).into_paginator().send();
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let Some(page) = pages.next().await else { return Ok(all) };
            let arns = page.map_err(|error| failed(Failure::of(&error)))?.task_arns.unwrap_or_default();
            if arns.is_empty() {
                continue;
            }
            let request = self.client.describe_tasks().cluster(&self.config.cluster).set_tasks(Some(arns));
            let told = request.send().await.map_err(|error| failed(Failure::of(&error)))?;
            all.extend(told.tasks.unwrap_or_default());
        }
        match pages.next().await {
            None => Ok(all),
            Some(_) => Err(WorldError {
                class: ErrorClass::Permanent,
                operation: self.operation("list the tasks of"),
                cause: "it has too many tasks to look at".to_owned(),
            }),
        }
    }
}

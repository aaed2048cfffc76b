"""Whatever a system has to run jobs on time: systemd, cron, launchd."""

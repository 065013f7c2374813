"""Archives that were made or found, what became of them, and what was restored from them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from backups.querysets import BackupQuerySet, DrillQuerySet, RestoreQuerySet
from fleet.models import Agent, Organisation


class Backup(models.Model):
    """One archive. A row is written when the archive is complete in its place, never before.

    ``state`` is written by ``backups.services.states`` alone: complete → verified | damaged, verified ⇄ damaged at a
    later check, any → deleted.
    """

    class State(models.TextChoices):
        COMPLETE = "complete", "complete, not verified yet"
        VERIFIED = "verified", "verified"
        DAMAGED = "damaged", "damaged"
        DELETED = "deleted", "deleted"

    class Storage(models.TextChoices):
        FOLDER = "folder", "folder"
        S3 = "s3", "S3"

    class Tier(models.TextChoices):
        NONE = "", "where it was asked for"
        HOT = "hot", "hot"
        WARM = "warm", "warm"
        COLD = "cold", "cold"

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="backups")
    agent = models.ForeignKey(Agent, null=True, blank=True, on_delete=models.SET_NULL, related_name="backups")
    agent_slug = models.CharField(max_length=64, help_text="Kept when the agent is removed: its archives stay.")
    schedule_name = models.CharField(max_length=64, blank=True)
    job_run_id = models.CharField(max_length=80, blank=True)
    kind = models.CharField(max_length=32)
    source = models.CharField(max_length=1024, blank=True)
    in_container = models.BooleanField(default=False)
    is_adopted = models.BooleanField(default=False, help_text="Made without us and found in its place.")

    name = models.CharField(max_length=80)
    storage = models.CharField(max_length=8, choices=Storage.choices)
    root = models.CharField(max_length=1024, help_text="A folder of this host, or a bucket.")
    prefix = models.CharField(max_length=1024, blank=True)
    tier = models.CharField(max_length=8, choices=Tier.choices, blank=True, default=Tier.NONE)
    retention = models.JSONField(default=dict, blank=True)

    state = models.CharField(max_length=12, choices=State.choices, default=State.COMPLETE)
    problem = models.TextField(blank=True)
    size = models.BigIntegerField(help_text="Bytes of the archive.")
    sha256 = models.CharField(max_length=64, blank=True)
    key_id = models.CharField(max_length=80, blank=True, help_text="For whom it is encrypted; empty: it is not.")
    has_manifest = models.BooleanField(default=True)
    entries = models.BigIntegerField(null=True, blank=True)
    tree_bytes = models.BigIntegerField(null=True, blank=True, help_text="Bytes of the files in it.")
    skipped = models.IntegerField(default=0)
    changed = models.IntegerField(default=0, help_text="Files that changed while they were read.")
    details = models.JSONField(default=dict, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)

    began_at = models.DateTimeField(help_text="The state that it holds is of this time, or a little later.")
    still_at = models.DateTimeField(help_text="The last time at which its source was found unchanged.")
    created_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True, help_text="The last time at which it was to be checked.")
    verified_at = models.DateTimeField(null=True, blank=True)
    drilled_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    deleted_why = models.CharField(max_length=200, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True, help_text="When its archive was seen to be gone.")

    objects = BackupQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["storage", "root", "prefix", "name"],
                condition=~Q(state="deleted"),
                name="backup_place_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["complete", "verified", "damaged", "deleted"]), name="backup_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state="deleted") ^ Q(deleted_at__isnull=True), name="backup_deleted_iff_when"
            ),
        ]
        indexes = [
            # serves: the archives of an agent, newest first; retention, the report
            models.Index(fields=["organisation", "agent_slug", "-began_at"], name="backup_agent_newest"),
            # serves: the re-check, which takes what was not looked at for the longest time
            models.Index(fields=["tried_at"], condition=~Q(state="deleted"), name="backup_tried_longest_ago"),
            # serves: housekeeping, which looks for archives whose removal was cut off
            models.Index(
                fields=["deleted_at"],
                condition=Q(state="deleted", removed_at__isnull=True),
                name="backup_removal_cut_off",
            ),
        ]
        ordering = ["-began_at", "-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_good(self) -> bool:
        """Whether it counts: for keeping, for the report, for an automatic restore."""
        return bool(self.state == self.State.VERIFIED)


class Drill(models.Model):
    """One restore that was tried out in a sandbox."""

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="drills")
    job_run_id = models.CharField(max_length=80, blank=True)
    began_at = models.DateTimeField()
    seconds = models.FloatField(help_text="From the first byte read to the last check: the real RTO.")
    is_ok = models.BooleanField()
    problem = models.TextField(blank=True)
    checks = models.JSONField(default=dict, blank=True)

    objects = DrillQuerySet.as_manager()

    class Meta:
        ordering = ["-began_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.backup} {'restored' if self.is_ok else 'could not be restored'}"


class Restore(models.Model):
    """One restore of an agent's files. Its former tree is kept until somebody confirms or undoes it."""

    class State(models.TextChoices):
        DONE = "done", "in place, the former tree is kept"
        CONFIRMED = "confirmed", "confirmed"
        UNDOING = "undoing", "being undone"
        UNDONE = "undone", "undone"
        FAILED = "failed", "failed, the former tree stands"

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="restores")
    agent = models.ForeignKey(Agent, null=True, blank=True, on_delete=models.SET_NULL, related_name="restores")
    agent_slug = models.CharField(max_length=64)
    backup = models.ForeignKey(Backup, null=True, blank=True, on_delete=models.SET_NULL, related_name="restores")
    archive = models.CharField(max_length=80)
    job_run_id = models.CharField(max_length=80, blank=True)
    target = models.CharField(max_length=1024)
    beneath = models.CharField(max_length=1024, blank=True, help_text="The folder of the operator's that holds it.")
    kept = models.CharField(max_length=1024, blank=True, help_text="Where the former tree is, while it is there.")
    brought = models.JSONField(default=list, blank=True, help_text="Paths that it put there; none: the whole folder.")
    retired = models.JSONField(default=list, blank=True, help_text="Paths that it moved to where the former tree is.")
    carried = models.JSONField(default=list, blank=True, help_text="Paths that went over into the new tree.")
    state = models.CharField(max_length=12, choices=State.choices)
    problem = models.TextField(blank=True)
    entries = models.BigIntegerField(default=0)
    tree_bytes = models.BigIntegerField(default=0)
    began_at = models.DateTimeField()
    seconds = models.FloatField(default=0)
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = RestoreQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["done", "confirmed", "undoing", "undone", "failed"]), name="restore_state_known"
            ),
        ]
        ordering = ["-began_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.archive} to {self.target}"


class Target(models.Model):
    """What an agent's people expect: how old its newest good backup may be, and how long a restore may take."""

    agent = models.OneToOneField(Agent, on_delete=models.CASCADE, related_name="backup_target")
    rpo_seconds = models.PositiveIntegerField()
    rto_seconds = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.agent}: RPO {self.rpo_seconds} s, RTO {self.rto_seconds} s"

"""crontab(5) files become jobs: what a line says, what the lines above it say, and what is refused."""

from __future__ import annotations

import pytest

from schedules.exchange import AgentTarget, Document, JobDocument, Source, read

AGENT = Source(agent=AgentTarget(slug="night", container="night-1"))


def crontab(text: str, source: Source | None = None) -> Document:
    return read(text.encode(), kind="crontab", source=source)


def job(text: str, source: Source | None = None) -> JobDocument:
    document = crontab(text, source)
    assert not document.problems, document.problems
    (entry,) = document.jobs or ()
    return entry.value


def refusal(text: str, source: Source | None = None) -> str:
    (problem,) = crontab(text, source).problems
    return str(problem)


def test_a_line_is_a_job_in_the_container_that_it_names() -> None:
    made = job("0 2 * * * docker exec agent s3 backup\n")
    assert made == JobDocument(
        name="agent-s3-backup",
        display_name="agent s3 backup",
        expression="0 2 * * *",
        executor="container.command",
        payload={"command": "docker exec agent s3 backup"},
    )


def test_fields_may_be_parted_by_tabs_and_lines_end_as_on_windows() -> None:
    made = job("  0\t2 *  * 1-5\tdocker exec agent s3 backup\r\n")
    assert made.expression == "0 2 * * 1-5"


@pytest.mark.parametrize("word", ["@daily", "@weekly", "@midnight", "@hourly", "@reboot"])
def test_a_word_stands_for_five_fields(word: str) -> None:
    assert job(f"{word} docker exec agent ls").expression == word


def test_comments_right_above_a_line_describe_it() -> None:
    document = crontab(
        "# m h dom mon dow command\n"
        "\n"
        "# Nightly backup\n"
        "#   of the workspace\n"
        "0 2 * * * docker exec agent s3 backup\n"
        "0 3 * * * docker exec agent s3 prune\n"
        "# for a person\n"
        "\n"
        "0 4 * * * docker exec agent s3 check\n"
    )
    descriptions = [entry.value.description for entry in document.jobs or ()]
    assert descriptions == ["Nightly backup\nof the workspace", "", ""]
    assert [entry.line for entry in document.jobs or ()] == [5, 6, 9]


@pytest.mark.parametrize("setting", ["CRON_TZ=Asia/Shanghai", "TZ = 'Asia/Shanghai'", 'CRON_TZ="Asia/Shanghai"  '])
def test_a_zone_holds_for_the_lines_below_it(setting: str) -> None:
    document = crontab(f"@daily docker exec agent a\n{setting}\n@daily docker exec agent b\n")
    assert [entry.value.timezone for entry in document.jobs or ()] == ["UTC", "Asia/Shanghai"]
    assert "Read in UTC" in document.notes[0]


def test_the_callers_zone_is_for_lines_without_one() -> None:
    document = crontab("@daily docker exec agent a\n", Source(timezone="Europe/Berlin"))
    assert [entry.value.timezone for entry in document.jobs or ()] == ["Europe/Berlin"]
    assert not any("UTC" in note for note in document.notes)


def test_settings_of_the_host_are_dropped_and_said() -> None:
    document = crontab("PATH=/bin\nMAILTO=ops@example.com\nSHELL=/bin/bash\n@daily docker exec agent ls\n")
    assert document.notes[0].startswith("line 1: PATH dropped")
    assert document.notes[1].startswith("line 2: MAILTO dropped")


def test_a_random_delay_in_minutes_is_jitter() -> None:
    assert job("RANDOM_DELAY=30\n@daily docker exec agent ls").jitter_seconds == 1800
    assert "RANDOM_DELAY=30" in refusal("RANDOM_DELAY=soon\n")


def test_a_percent_sign_is_escaped() -> None:
    assert job(r"@daily docker exec agent date +\%F").payload == {"command": "docker exec agent date +%F"}
    assert r"write \% for the sign" in refusal("@daily docker exec agent mail ops%Hello%you")


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("/usr/bin/docker exec agent ls", "docker exec agent ls"),
        ("sudo docker exec -u root agent ls", "docker exec -u root agent ls"),
        ("sudo -n /usr/local/bin/docker exec agent ls", "docker exec agent ls"),
        ("docker exec agent ls >/dev/null 2>&1", "docker exec agent ls"),
        ("docker exec agent ls >> /var/log/ls.log 2>&1", "docker exec agent ls"),
        ("docker exec agent ls &> /dev/null", "docker exec agent ls"),
        ("docker exec agent sh -c 'ls > /tmp/x 2>&1'", "docker exec agent sh -c 'ls > /tmp/x 2>&1'"),
        ("docker exec agent echo '$HOME'", "docker exec agent echo '$HOME'"),
    ],
)
def test_ways_to_write_docker_exec(written: str, taken: str) -> None:
    assert job(f"@daily {written}").payload == {"command": taken}


def test_output_to_a_file_is_dropped_and_said() -> None:
    (entry,) = crontab("@daily docker exec agent ls >> /var/log/ls.log 2>&1").jobs or ()
    assert entry.notes == (">> /var/log/ls.log 2>&1 dropped: its output is kept in the run's log",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("@daily /usr/bin/backup.sh", "--agent NAME"),
        ("@daily docker run --rm image", "only exec can be scheduled"),
        ("@daily docker compose exec agent ls", "only exec can be scheduled"),
        ("@daily docker exec agent ls | mail ops", "'|'"),
        ("@daily docker exec agent cp $HOME/x /y", "write the value itself"),
        ('@daily docker exec agent echo "$HOME"', "write the value itself"),
        ("@daily docker exec agent ls ~", "write the value itself"),
        ("@daily docker exec -d agent ls", "leave -d out"),
        ("@daily docker exec agent", "lacks a command"),
        ("@daily docker exec agent 'ls", "quotes do not match"),
        ("0 2 * * docker", "is no crontab line"),
        ("@daily", "is no crontab line"),
        ("nonsense", "is no crontab line"),
        ("0~30 2 * * * docker exec agent ls", "random time"),
        (f"@daily docker exec agent {'x' * 20_000}", "20000 characters"),
    ],
)
def test_a_line_that_cannot_be_taken_is_named_with_the_way_out(line: str, said: str) -> None:
    told = refusal(f"\n{line}\n")
    assert told.startswith("line 2: ")
    assert said in told


def test_every_wrong_line_is_told_at_once() -> None:
    document = crontab("nonsense\n@daily docker exec agent ls\n@daily rm -rf /\n")
    assert [problem.line for problem in document.problems] == [1, 3]


def test_a_hosts_command_runs_in_the_container_of_the_agent_that_the_caller_names() -> None:
    made = job("FOO=a b\nSHELL=/bin/bash\n@daily cd /srv && TOKEN=x ./go.sh 'it''s' >> log 2>&1", AGENT)
    assert made.agent == "night"
    assert made.payload == {
        "command": "docker exec -e 'FOO=a b' night-1 /bin/bash -c "
        "'cd /srv && TOKEN=x ./go.sh '\"'\"'it'\"'\"''\"'\"'s'\"'\"' >> log 2>&1'"
    }


def test_a_value_in_front_of_a_command_is_not_shown_in_its_name() -> None:
    assert job("@daily TOKEN=secret ./go.sh", AGENT).name == "night-go-sh"


def test_a_variable_does_not_reach_a_container_by_itself() -> None:
    (entry,) = crontab("FOO=x\n@daily docker exec agent ls").jobs or ()
    assert entry.notes == ("FOO dropped: docker exec hands it on only as -e FOO=…",)


def test_names_are_unique_in_the_order_of_the_lines() -> None:
    document = crontab("@daily docker exec agent ls\n@hourly docker exec agent ls\n@weekly docker exec agent ls /\n")
    assert [entry.value.name for entry in document.jobs or ()] == ["agent-ls", "agent-ls-2", "agent-ls-3"]


def test_a_system_crontab_is_told_by_its_heading() -> None:
    document = crontab("# m h dom mon dow user\tcommand\n17 * * * * backup docker exec agent ls\n")
    (entry,) = document.jobs or ()
    assert entry.value.payload == {"command": "docker exec agent ls"}
    assert entry.notes == ("the user backup dropped: docker exec -u names one of the container",)
    assert "system crontab" in document.notes[0]


def test_a_system_crontab_is_told_by_root_in_every_line() -> None:
    assert job("17 *\t* * *\troot\tdocker exec agent ls\n").payload == {"command": "docker exec agent ls"}


def test_a_system_crontab_is_told_by_the_caller() -> None:
    line = "17 * * * * backup docker exec agent ls\n"
    assert "add --system" in refusal(line)
    assert job(line, Source(system=True)).payload == {"command": "docker exec agent ls"}
    assert "a user and a command" in refusal("17 * * * * backup\n", Source(system=True))


def test_cron_has_other_rules_which_is_said() -> None:
    assert "no time limit" in crontab("@daily docker exec agent ls\n").notes[-1]
    assert crontab("# nothing\n").notes == ()

"""A class as its teacher and two students use it, in Chromium, through an address of the network if there is one."""

import re
import socket

import pytest

pytestmark = pytest.mark.long


def own_address():
    """Return the address of this machine that others see; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
            return one.getsockname()[0]
        except OSError:
            return "127.0.0.2"


@pytest.fixture(scope="module")
def room(start, tmp_path_factory):
    """Start a class; return the addresses of students and teacher, and the folder of runs."""
    out = tmp_path_factory.mktemp("runs")
    said, _ = start("--out", out, "--host", own_address(), "--class")
    student, teacher = re.findall(r"(http://\S+)/", said)
    return student, teacher, out


def join(page, name):
    page.get_by_label("nickname").fill(name)
    page.get_by_role("button", name="Join the scoreboard").click()


def test_a_lesson(open_page, room):
    student, teacher, out = room
    projected = open_page(f"{teacher}/")
    projected.get_by_text(f"{student}/").wait_for()
    projected.get_by_role("img", name="QR code of the link").wait_for()
    # a student trains with two clicks
    page = open_page(f"{student}/")
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator("p[role=status]", has_text=re.compile(r"^\s*done")).wait_for()
    page.get_by_role("cell", name="CNN").wait_for()
    # another one may not train for minutes, and the first waits for it
    other = open_page(f"{student}/playground/")
    steps = [one.get_by_role("textbox", name="optimiser steps", exact=True) for one in (other, page)]
    steps[0].fill("20000")
    other.get_by_text(re.compile(r"more than the 2e\+12 that a page may ask for")).wait_for()
    for field, one, said, n in zip(steps, (other, page), ("compiling|% done", "place 1 in the queue"), (9000, 8000),
                                   strict=True):  # fmt: skip
        field.fill(str(n))
        one.wait_for_timeout(2000)
        one.get_by_role("button", name="Plain beside shuffled").click()
        one.locator("p[role=status]", has_text=re.compile(said)).wait_for()
    projected.get_by_text("Trainings: 2 run, 2 wait").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.locator("p[role=status]", has_text="stopped at").wait_for()
    other.close()
    # the quiz, on the scoreboard of all
    quiz = open_page(f"{student}/quiz/")
    join(quiz, "<b>Ada</b>")
    quiz.get_by_text("must be 1 to 20 letters").wait_for()
    join(quiz, "Ada")
    quiz.get_by_text("On the scoreboard: Ada").wait_for()
    quiz.get_by_role("button", name="Begin").press("Enter")
    quiz.get_by_role("group", name="your answer").wait_for()
    for i in range(10):
        quiz.get_by_text(f"{i + 1} of 10", exact=True).wait_for()
        quiz.keyboard.press(str(i))
    quiz.get_by_text("Ada: place 1 of 1.").wait_for()
    projected.get_by_role("cell", name="Ada").wait_for()
    second = open_page(f"{student}/quiz/")
    second.get_by_role("cell", name="Ada").wait_for()
    assert second.get_by_text("of 10 right").count() == 0  # a page sees its own sittings only
    join(second, "ada")
    second.get_by_text("is taken").wait_for()
    quiz.reload()
    quiz.get_by_text("On the scoreboard: Ada").wait_for()  # the tab knows
    projected.get_by_label("nickname").fill("Ada")
    projected.get_by_label("nickname").press("Tab")
    projected.get_by_role("button", name="Remove from the scoreboard").click()
    projected.get_by_text("nobody yet").wait_for()
    quiz.get_by_text("this nickname was removed").wait_for()
    studies = open_page(f"{student}/studies/")
    studies.get_by_alt_text("figure of the study").wait_for()
    assert studies.get_by_role("button", name="Run", exact=True).count() == 0
    assert list(out.iterdir()) == []  # nothing is written


def test_students_have_no_page_of_the_teacher(browser, room):
    student, teacher, _ = room
    page = browser.new_page()
    for address, status in ((f"{student}/class/", 404), (f"{student}x/quiz/", 403), (f"{student}/quiz/quiz.py", 404),
                            (teacher.rpartition("/")[0] + "/", 403)):  # fmt: skip
        assert page.goto(address).status == status
    page.close()

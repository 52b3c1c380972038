"""A whole clip, decoded a frame at a time: how many there are, how they stand, and whether all come out."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from emoreason.decoding import GET_AGAIN, clip_stream, opened, packets, quarter_turns
from emoreason.faults import UserError
from emoreason.media_check.faces import FaceCount

INVISIBLE = {"vp8"}
"""Codecs whose packets may hold a frame that is never shown."""


@dataclass(frozen=True)
class Clip:
    """What was decoded; frames before the first keyframe count for nothing, since training never shows them."""

    format: str
    width: int
    """Upright."""
    height: int
    rotation: int
    """Degrees counterclockwise by which frames are turned upright."""
    num_frames: int
    seconds: float
    stated_seconds: float | None
    """By the header."""
    fps: float
    has_sound: bool


def read_whole_clip(path: Path, faces: FaceCount | None) -> Clip:
    """Decode every frame; a frame a second goes to `faces`.

    Raises:
        UserError: no clip, a damaged or cut one, or one of which a frame does not come out whole.
    """
    with opened(path, "clip") as container:
        stream = clip_stream(container, path)
        stream.codec_context.thread_count = 1  # the workers share the processors
        seen = _Frames(stream, faces)
        for packet in packets(container, path):
            if packet.stream.index == stream.index:
                seen.add(packet)
        rate, stated = float(stream.average_rate or 0), container.duration and container.duration / av.time_base
        name, codec, has_sound = container.format.name, stream.codec_context.name, any(one.codec_context for one in container.streams.audio)
    lost = seen.num_packets - seen.num if codec not in INVISIBLE else 0
    if not seen.num:
        raise UserError(f"{path}: damaged: no frame can be decoded; {GET_AGAIN}")
    if seen.num_corrupt or lost > 0:
        raise UserError(f"{path}: {seen.num_corrupt + max(lost, 0)} of {max(seen.num_packets, seen.num)} frames are damaged; {GET_AGAIN}")
    seconds = seen.end - seen.start or (seen.num / rate if rate else 0.0)
    return Clip(name, *seen.size, seen.turns % 4 * 90, seen.num, seconds, stated, seen.num / seconds if seconds else rate, has_sound)


class _Frames:
    """Counts over the packets of a clip and the frames that they give."""

    def __init__(self, stream: av.VideoStream, faces: FaceCount | None):
        self.stream, self.faces = stream, faces
        self.num = self.num_packets = self.num_corrupt = self.turns = 0
        self.size, self.start, self.end = (0, 0), 0.0, 0.0
        self._begun, self._first, self._next_look = False, None, 0.0

    def add(self, packet: av.Packet) -> None:
        if not self._begun and packet.size and packet.is_keyframe:
            self._begun, self._first = True, packet.pts
        if self._begun and packet.size and not packet.is_discard:
            self.num_packets += self._is_shown(packet.pts)
        for frame in packet.decode():
            if self._begun and self._is_shown(frame.pts):
                self._add_frame(frame)

    def _is_shown(self, stamp: int | None) -> bool:
        return stamp is None or self._first is None or stamp >= self._first

    def _add_frame(self, frame: av.VideoFrame) -> None:
        if not self.num:
            self.turns = quarter_turns(frame, self.stream)
            self.size = (frame.width, frame.height) if self.turns % 2 == 0 else (frame.height, frame.width)
            frame.to_ndarray(format="rgb24")  # some layouts of pixels decode but cannot be shown
            self.start = self.end = frame.time or 0.0
        self.num += 1
        self.num_corrupt += frame.is_corrupt
        if frame.time is not None:
            self.end = max(self.end, frame.time + float((frame.duration or 0) * frame.time_base))
        if self.faces and (frame.time or 0.0) >= self._next_look:
            self._next_look = (frame.time or 0.0) + 1.0
            self.faces.add(np.rot90(frame.to_ndarray(format="rgb24"), self.turns))

"""Automatic preprocessing: fitted in training by streaming statistics, kept with the model, replayed at prediction."""

from tule.learn.transforms.blocks import Block, Layout
from tule.learn.transforms.encoding import Encoding
from tule.learn.transforms.features import Feature, Kind, features_of
from tule.learn.transforms.survey import Survey, take_survey

__all__ = ["Block", "Encoding", "Feature", "Kind", "Layout", "Survey", "features_of", "take_survey"]

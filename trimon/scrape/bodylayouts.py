"""Which memory of bodies a target needs: by the format of its answers, and by what its job asks of histograms."""

from __future__ import annotations

from typing import TypeAlias

from trimon.scrape.exposition.assembled import AssembledLayout
from trimon.scrape.exposition.bodymemory import SeriesRule
from trimon.scrape.exposition.families import MetadataCache
from trimon.scrape.exposition.familylines import FamilyLines
from trimon.scrape.exposition.layout import BodyLayout
from trimon.scrape.exposition.negotiation import BodyFormat, ProtobufFormat
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.protobuf.histograms import HistogramRules, schema_of_factor
from trimon.scrape.exposition.protobuf.layout import ProtobufLayout
from trimon.scrape.exposition.protobuf.memory import MetricRules
from trimon.scrape.exposition.protobuf.shape import Shapes
from trimon.scrape.exposition.textformat import TextFormat
from trimon.scrape.options import PoolOptions
from trimon.scrape.target import Target

Layout: TypeAlias = BodyLayout | AssembledLayout | ProtobufLayout


class BodyLayouts:
    """The layouts of one target: one of texts, which is kept, and one of protobuf. They share what is known of families."""

    def __init__(
        self, rule: SeriesRule, target: Target, options: PoolOptions, metadata: MetadataCache
    ) -> None:
        self.format: BodyFormat | None = None
        """That of the layout in use."""
        self._rule = rule
        self._target = target
        self._options = options
        self._metadata = metadata
        # what is refused beyond it is no reason to fail
        self._sample_limit = 0 if options.keep_known else options.sample_limit
        self._text = self._text_layout()

    def use(self, chosen: BodyFormat) -> Layout:
        """The layout of a format, in which nothing is known yet."""
        self.format = chosen
        if chosen is ProtobufFormat:
            return self._protobuf_layout()
        assert chosen is TextFormat or chosen is OpenMetricsFormat
        self._text.use(chosen())
        return self._text

    def _text_layout(self) -> BodyLayout | AssembledLayout:
        options, convert = self._options, self._target.convert_classic_histograms
        assembled = convert or options.start_timestamps_as_zeros
        lines = FamilyLines(self._rule, convert=convert) if assembled else None
        layout = BodyLayout(
            TextFormat(),
            lines or self._rule,
            honor_timestamps=options.honor_timestamps,
            sample_limit=0 if assembled else self._sample_limit,
            metadata=self._metadata,
        )
        if lines is None:
            return layout
        return AssembledLayout(
            layout,
            lines,
            self._rule,
            always_classic=self._target.always_classic_histograms,
            created=options.start_timestamps_as_zeros,
            sample_limit=self._sample_limit,
            bucket_limit=options.native_histogram_bucket_limit,
        )

    def _protobuf_layout(self) -> ProtobufLayout:
        options, target = self._options, self._target
        histograms = HistogramRules(
            native=target.native_histograms,
            always_classic=target.always_classic_histograms,
            convert=target.convert_classic_histograms,
            bucket_limit=options.native_histogram_bucket_limit,
            schema_max=schema_of_factor(options.native_histogram_min_bucket_factor),
        )
        rules = MetricRules(
            self._rule, options.honor_timestamps, Shapes(histograms), options.start_timestamps_as_zeros
        )
        return ProtobufLayout(rules, self._metadata, sample_limit=self._sample_limit)

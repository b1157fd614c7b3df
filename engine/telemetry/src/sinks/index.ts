export { Metrics, openMetrics, type MetricsOptions } from './metrics.ts';
export type { OpenSink, Sink, SinkPlace } from './sink.ts';
export { sinkNames, type SinkName } from './table.ts';

/**
 * What the environment says of traces beyond what OpenTelemetry's packages read themselves: whether there are any, and
 * of which requests
 */
export interface TracingConfig {
  sampler: { name: 'always_on' | 'always_off' | 'traceidratio'; isParentBased: boolean; ratio: number }
  /** Values that it does not understand, and what it does instead */
  problems: string[]
}

const defaultSampler = 'parentbased_always_on'
const protocol = 'http/protobuf'

/**
 * @returns undefined where nobody asks for traces
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export function readTracing(env: NodeJS.ProcessEnv): TracingConfig | undefined {
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT']
  const isOff = env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none'
  if (!endpoint || isOff) {
    return undefined
  }
  const problems: string[] = []
  const given = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || protocol
  if (given !== protocol) {
    problems.push(`OTEL_EXPORTER_OTLP_PROTOCOL is ${given}, and ${protocol} is used`)
  }
  const name = env['OTEL_TRACES_SAMPLER'] || defaultSampler
  const match = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name)
  if (match === null) {
    problems.push(`OTEL_TRACES_SAMPLER is unknown, and ${defaultSampler} is used`)
  }
  const [, prefix, kind] = match ?? [name, 'parentbased_', 'always_on']
  return {
    sampler: {
      name: kind as TracingConfig['sampler']['name'],
      isParentBased: prefix !== undefined,
      ratio: readRatio(env['OTEL_TRACES_SAMPLER_ARG'], problems),
    },
    problems,
  }
}

function readRatio(text: string | undefined, problems: string[]): number {
  const ratio = Number(text || 1)
  if (ratio >= 0 && ratio <= 1) {
    return ratio
  }
  problems.push('OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1, and 1 is used')
  return 1
}

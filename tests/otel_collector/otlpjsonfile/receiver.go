// Package otlpjsonfile stands in for the Collector's receiver of that name where its module cannot
// be had. It is made of the same parts: the Collector's reader of growing files, and the
// Collector's decoder of OTLP-JSON. Everything that is asked of lines and files is asked of those.
package otlpjsonfile

import (
	"context"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/adapter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
)

// Config is the reader's own, and where it keeps how far it has read.
type Config struct {
	fileconsumer.Config `mapstructure:",squash"`
	Storage             *component.ID `mapstructure:"storage"`
}

// NewFactory makes what the Collector makes receivers with.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		component.MustNewType("otlpjsonfile"),
		func() component.Config { return &Config{Config: *fileconsumer.NewConfig()} },
		receiver.WithTraces(newTraces, component.StabilityLevelDevelopment),
	)
}

type tracesReceiver struct {
	files   *fileconsumer.Manager
	id      component.ID
	storage *component.ID
}

func newTraces(
	_ context.Context, settings receiver.Settings, config component.Config, next consumer.Traces,
) (receiver.Traces, error) {
	decoder := ptrace.JSONUnmarshaler{}
	read := func(
		ctx context.Context, lines [][]byte, _ map[string]any, _ int64, _ []int64,
	) error {
		for _, line := range lines {
			traces, err := decoder.UnmarshalTraces(line)
			if err != nil {
				settings.Logger.Error("a line is no OTLP-JSON: " + err.Error())
				continue
			}
			if traces.ResourceSpans().Len() == 0 {
				continue
			}
			if err := next.ConsumeTraces(ctx, traces); err != nil {
				return err
			}
		}
		return nil
	}
	chosen := config.(*Config)
	files, err := chosen.Build(settings.TelemetrySettings, read)
	if err != nil {
		return nil, err
	}
	return &tracesReceiver{files: files, id: settings.ID, storage: chosen.Storage}, nil
}

func (r *tracesReceiver) Start(ctx context.Context, host component.Host) error {
	client, err := adapter.GetStorageClient(ctx, host, r.storage, r.id)
	if err != nil {
		return err
	}
	return r.files.Start(client)
}

func (r *tracesReceiver) Shutdown(context.Context) error {
	return r.files.Stop()
}

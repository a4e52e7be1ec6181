{{- define "headwater.labels" -}}
app.kubernetes.io/name: headwater
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Of one service: (dict "root" $ "name" "runs"). */}}
{{- define "headwater.selector" -}}
app.kubernetes.io/name: headwater
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "headwater.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "headwater.postgresAddress" -}}
{{- $nodes := list }}
{{- range .Values.postgres.hosts | default (list .Values.postgres.host) }}
{{- $nodes = append $nodes (ternary . (printf "%s:%d" . (int $.Values.postgres.port)) (contains ":" .)) }}
{{- end }}
{{- join "," $nodes }}/{{ .Values.postgres.database }}{{ with .Values.postgres.options }}?{{ . }}{{ end }}
{{- end }}

{{/* A variable from the Secret: (dict "root" $ "variable" "..." "key" "..."). */}}
{{- define "headwater.secret" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.existingSecret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{/* PostgreSQL as a role; the password is put into the URL by the image's entry point. */}}
{{- define "headwater.postgres" -}}
- name: HEADWATER_POSTGRES_URL
  value: {{ printf "postgresql://%s@%s" .role (include "headwater.postgresAddress" .root) | quote }}
{{ include "headwater.secret" (dict "root" .root "variable" "HEADWATER_POSTGRES_PASSWORD" "key" .key) }}
{{- end }}

{{/* Every node, host:port,host:port. */}}
{{- define "headwater.natsAddress" -}}
{{- $nodes := list }}
{{- range .Values.nats.hosts | default (list .Values.nats.host) }}
{{- $nodes = append $nodes (ternary . (printf "%s:%d" . (int $.Values.nats.port)) (contains ":" .)) }}
{{- end }}
{{- join "," $nodes }}
{{- end }}

{{- define "headwater.nats" -}}
- name: HEADWATER_NATS_URL
  value: {{ printf "%s://%s@%s" .root.Values.nats.scheme .user (include "headwater.natsAddress" .root) | quote }}
{{ include "headwater.secret" (dict "root" .root "variable" "HEADWATER_NATS_PASSWORD" "key" (printf "nats-%s" .user)) }}
{{- with .root.Values.nats.tlsCa }}
- name: HEADWATER_NATS_TLS_CA
  value: {{ printf "/etc/headwater/tls/%s" . | quote }}
{{- end }}
{{- end }}

{{/* What every pod has around its container. */}}
{{- define "headwater.pod" -}}
automountServiceAccountToken: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- with .Values.tls.existingSecret }}
  - name: tls
    secret: {secretName: {{ . }}}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* A pod is replaced when a secret that it reads has changed. Rendered without a cluster the secrets are unknown. */}}
{{- define "headwater.secrets" -}}
{{- $seen := list .Values.secretsVersion }}
{{- range list .Values.existingSecret .Values.tls.existingSecret }}
{{- if . }}
{{- $found := lookup "v1" "Secret" $.Release.Namespace . }}
{{- $seen = append $seen (toJson ($found.data | default dict)) }}
{{- end }}
{{- end }}
{{- toJson $seen | sha256sum }}
{{- end }}

{{- define "headwater.container" -}}
image: {{ include "headwater.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.tls.existingSecret }}
  - {name: tls, mountPath: /etc/headwater/tls, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

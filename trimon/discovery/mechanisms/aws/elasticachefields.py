"""Labels of ElastiCache: which field of a cache, a cluster or a node becomes which label.

Some names have two words in one (`data_storagemaximum`): Prometheus writes them so, and rules name them.
"""

from __future__ import annotations

from typing import Final

SERVERLESS: Final = {
    "arn": "ARN",
    "name": "ServerlessCacheName",
    "status": "Status",
    "engine": "Engine",
    "full_engine_version": "FullEngineVersion",
    "major_engine_version": "MajorEngineVersion",
    "description": "Description",
    "create_time": "CreateTime",
    "kms_key_id": "KmsKeyId",
    "user_group_id": "UserGroupId",
    "daily_snapshot_time": "DailySnapshotTime",
    "snapshot_retention_limit": "SnapshotRetentionLimit",
    "endpoint_address": "Endpoint.Address",
    "endpoint_port": "Endpoint.Port",
    "endpoint_reader_address": "ReaderEndpoint.Address",
    "endpoint_reader_port": "ReaderEndpoint.Port",
    "cache_usage_limit_data_storagemaximum": "CacheUsageLimits.DataStorage.Maximum",
    "cache_usage_limit_data_storageminimum": "CacheUsageLimits.DataStorage.Minimum",
    "cache_usage_limit_data_storageunit": "CacheUsageLimits.DataStorage.Unit",
    "cache_usage_limit_ecpu_per_secondmaximum": "CacheUsageLimits.ECPUPerSecond.Maximum",
    "cache_usage_limit_ecpu_per_secondminimum": "CacheUsageLimits.ECPUPerSecond.Minimum",
}
CLUSTER: Final = {
    "arn": "ARN",
    "cache_cluster_id": "CacheClusterId",
    "cache_cluster_status": "CacheClusterStatus",
    "at_rest_encryption_enabled": "AtRestEncryptionEnabled",
    "auth_token_enabled": "AuthTokenEnabled",
    "auth_token_last_modified": "AuthTokenLastModifiedDate",
    "auto_minor_version_upgrade": "AutoMinorVersionUpgrade",
    "cache_cluster_create_time": "CacheClusterCreateTime",
    "cache_node_type": "CacheNodeType",
    "cache_parameter_group": "CacheParameterGroup.CacheParameterGroupName",
    "cache_subnet_group_name": "CacheSubnetGroupName",
    "client_download_landing_page": "ClientDownloadLandingPage",
    "configuration_endpoint_address": "ConfigurationEndpoint.Address",
    "configuration_endpoint_port": "ConfigurationEndpoint.Port",
    "engine": "Engine",
    "engine_version": "EngineVersion",
    "ip_discovery": "IpDiscovery",
    "network_type": "NetworkType",
    "notification_topic_arn": "NotificationConfiguration.TopicArn",
    "notification_topic_status": "NotificationConfiguration.TopicStatus",
    "num_cache_nodes": "NumCacheNodes",
    "preferred_availability_zone": "PreferredAvailabilityZone",
    "preferred_maintenance_window": "PreferredMaintenanceWindow",
    "preferred_outpost_arn": "PreferredOutpostArn",
    "replication_group_id": "ReplicationGroupId",
    "replication_group_log_delivery_enabled": "ReplicationGroupLogDeliveryEnabled",
    "snapshot_retention_limit": "SnapshotRetentionLimit",
    "snapshot_window": "SnapshotWindow",
    "transit_encryption_enabled": "TransitEncryptionEnabled",
    "transit_encryption_mode": "TransitEncryptionMode",
    "pending_modified_values_auth_token_status": "PendingModifiedValues.AuthTokenStatus",
    "pending_modified_values_cache_node_type": "PendingModifiedValues.CacheNodeType",
    "pending_modified_values_engine_version": "PendingModifiedValues.EngineVersion",
    "pending_modified_values_num_cache_nodes": "PendingModifiedValues.NumCacheNodes",
    "pending_modified_values_transit_encryption_enabled": "PendingModifiedValues.TransitEncryptionEnabled",
    "pending_modified_values_transit_encryption_mode": "PendingModifiedValues.TransitEncryptionMode",
}
NODE: Final = {
    "node_id": "CacheNodeId",
    "node_status": "CacheNodeStatus",
    "node_create_time": "CacheNodeCreateTime",
    "node_availability_zone": "CustomerAvailabilityZone",
    "node_customer_outpost_arn": "CustomerOutpostArn",
    "node_source_cache_node_id": "SourceCacheNodeId",
    "node_parameter_group_status": "ParameterGroupStatus",
    "node_endpoint_address": "Endpoint.Address",
    "node_endpoint_port": "Endpoint.Port",
}
# Each with the number of the delivery at its end.
LOG_DELIVERY: Final = {
    "destination_type": "DestinationType",
    "log_format": "LogFormat",
    "log_type": "LogType",
    "status": "Status",
    "message": "Message",
    "log_group": "DestinationDetails.CloudWatchLogsDetails.LogGroup",
    "delivery_stream": "DestinationDetails.KinesisFirehoseDetails.DeliveryStream",
}
# Fields that are times.
TIMES: Final = frozenset(
    ("CreateTime", "AuthTokenLastModifiedDate", "CacheClusterCreateTime", "CacheNodeCreateTime")
)

import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node in this process: StartOpenSearch DATA_DIR. Dotted environment variables are its settings. */
public class StartOpenSearch {
    public static void main(String[] args) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("network.host", "0.0.0.0")
                    .put("network.publish_host", "127.0.0.1")
                    .put("http.port", 9200)
                    .put("transport.port", 9300)
                    .putList("node.roles", "cluster_manager", "data", "ingest");
            System.getenv().forEach((name, value) -> {
                if (name.matches("[a-z0-9_]+\\.[a-z0-9_.]+")) {
                    settings.put(name, value);
                }
            });
        }).build(OpenSearchRunner.newConfigs().basePath(args[0]).clusterName("rebridge").numOfNode(1));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (java.io.IOException e) {
                e.printStackTrace();
            }
        }));
        Thread.currentThread().join();
    }
}

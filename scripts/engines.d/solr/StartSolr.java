import java.lang.reflect.Field;
import java.util.Properties;
import org.apache.solr.embedded.JettyConfig;
import org.apache.solr.embedded.JettySolrRunner;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/** One Solr node in this process, on port 8983: StartSolr SOLR_HOME. */
public class StartSolr {
    public static void main(String[] args) throws Exception {
        JettySolrRunner runner = new JettySolrRunner(args[0], new Properties(), JettyConfig.builder().setPort(8983).build());
        // The runner always listens on 127.0.0.1, which nobody reaches from outside a container.
        Field field = JettySolrRunner.class.getDeclaredField("server");
        field.setAccessible(true);
        for (Connector connector : ((Server) field.get(runner)).getConnectors()) {
            ((ServerConnector) connector).setHost("0.0.0.0");
        }
        runner.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.stop();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        Thread.currentThread().join();
    }
}
